"""Addresses that are for machines and developers, not for viewers: no token, no limit, no log."""

from __future__ import annotations

from collections.abc import Iterable

HEALTH = ("/health", "/api/v1/health")
METRICS = "/metrics"
SCHEMA = "/schema"


def is_below(path: str, roots: Iterable[str]) -> bool:
    """Say whether a path is one of `roots` or below one; `/metricsx` is not below `/metrics`."""
    return any(path == root or path.startswith(f"{root}/") for root in roots)
