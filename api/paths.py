"""Addresses that are for machines and developers, not for viewers: no token, no limit, no log."""

from __future__ import annotations

from collections.abc import Iterable

HEALTH = ("/health", "/api/v1/health")
METRICS = "/metrics"
SCHEMA = "/schema"


def is_below(path: str, roots: Iterable[str]) -> bool:
    """Say whether a path is one of `roots` or below one; `/metricsx` is not below `/metrics`."""
    for root in roots:
        if path.startswith(root) and path[len(root) : len(root) + 1] in ("", "/"):
            return True
    return False
