"""Everything that can be measured, in the order of measuring: what disturbs least comes first."""

from __future__ import annotations

from collections.abc import Mapping

from bench import feed, modelserver, reports, search, service, similar, upkeep, writes
from bench.registry import Benchmark

# Events are many rows, and `posts-fallback` kills ClickHouse: what comes after them finds another
# world than what came before.
BENCHMARKS: Mapping[str, Benchmark] = {
    each.name: each
    for each in (
        *feed.BENCHMARKS,
        *service.BENCHMARKS,
        *search.BENCHMARKS,
        *modelserver.BENCHMARKS,
        *writes.BENCHMARKS,
        *upkeep.BENCHMARKS,
        *reports.BENCHMARKS,
        *similar.BENCHMARKS,
    )
}
