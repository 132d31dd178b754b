"""
What workers report of themselves in Redis, as Prometheus reads it at /metrics.

Workers have no port; the API tells what they told last. Nothing while Redis is away.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeVar, cast

import msgspec
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from api.modelserver.reports import REPORT_KEY as EMBEDDING_KEY
from api.modelserver.reports import EmbeddingReport
from api.stores import RedisStore, StoreUnavailableError
from api.vectors.reports import REPORT_KEY as MIRRORING_KEY
from api.vectors.reports import MirrorReport

Report = TypeVar("Report", EmbeddingReport, MirrorReport)


class EmbeddingCollector(Collector):
    """Metrics of the embedding worker, a label per version of the model."""

    def __init__(self, reports: Mapping[str, EmbeddingReport]) -> None:
        self._reports = reports

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        stored = CounterMetricFamily(
            "nova_embedding_videos_stored",
            "Videos whose embedding came from the model server (count)",
            labels=["model_version"],
        )
        batches = CounterMetricFamily(
            "nova_embedding_batches",
            "Questions to the model server, by outcome: answered, or what was wrong (count)",
            labels=["model_version", "outcome"],
        )
        refused = CounterMetricFamily(
            "nova_embedding_vectors_refused",
            "Vectors of answered batches that were not taken, by reason (count)",
            labels=["model_version", "reason"],
        )
        left = GaugeMetricFamily(
            "nova_embedding_videos_left",
            "Videos that the last walk had to leave without an embedding (count)",
            labels=["model_version"],
        )
        is_open = GaugeMetricFamily(
            "nova_embedding_circuit_open",
            "1 while the model server is left alone after failures",
            labels=["model_version"],
        )
        for version, report in self._reports.items():
            stored.add_metric([version], report.stored)
            for outcome, count in report.batches.items():
                batches.add_metric([version, outcome], count)
            for reason, count in report.refused.items():
                refused.add_metric([version, reason], count)
            left.add_metric([version], report.left)
            is_open.add_metric([version], report.is_open)
        yield from (stored, batches, refused, left, is_open)


class MirrorCollector(Collector):
    """Metrics of the mirroring worker, a label per version of the model."""

    def __init__(self, reports: Mapping[str, MirrorReport]) -> None:
        self._reports = reports

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        copied = CounterMetricFamily(
            "nova_mirroring_videos_copied",
            "Embeddings copied to the vector database (count)",
            labels=["model_version"],
        )
        failures = CounterMetricFamily(
            "nova_mirroring_failures",
            "Errors of the vector database while copying (count)",
            labels=["model_version"],
        )
        for version, report in self._reports.items():
            copied.add_metric([version], report.copied)
            failures.add_metric([version], report.failures)
        yield from (copied, failures)


async def reports(redis: RedisStore, key: str, kind: type[Report]) -> dict[str, Report]:
    """Return what a worker told last, by version; empty when nobody tells."""

    async def read() -> dict[bytes, bytes]:
        return cast("dict[bytes, bytes]", await redis.client.hgetall(key))

    try:
        told = await redis.run(read)
        return {
            version.decode(): msgspec.json.decode(report, type=kind)
            for version, report in sorted(told.items())
        }
    except (StoreUnavailableError, msgspec.MsgspecError):
        return {}


async def worker_metrics(redis: RedisStore) -> bytes:
    """Return the metrics of workers, as text for Prometheus."""
    registry = CollectorRegistry(auto_describe=False)
    if embedded := await reports(redis, EMBEDDING_KEY, EmbeddingReport):
        registry.register(EmbeddingCollector(embedded))
    if mirrored := await reports(redis, MIRRORING_KEY, MirrorReport):
        registry.register(MirrorCollector(mirrored))
    return generate_latest(registry)
