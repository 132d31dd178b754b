"""
Similar videos of a million: the index against comparing with all, in the same run.

It makes its own vectors, of a version nobody serves, and takes them away again. Building the index
takes minutes.
"""

from __future__ import annotations

import random
import time
from pathlib import Path

import clickhouse_connect

from api.surfaces.rows import statements_in
from bench.measure import figure
from bench.registry import Benchmark, Goal, Measured, Run

SQL = statements_in(Path(__file__).parent / "sql" / "similar")
VERSION = "bench_similar-64d"
VECTORS = 1_000_000
AT_ONCE = 100_000  # vectors of one insert (count)
SEARCHES = 200
EXACT = 40  # of the searches those that are held against an exact one (count)
TIMEOUT_SECONDS = 1_800


def similar(run: Run) -> Measured:
    """Search among a million vectors, and compare some answers with all vectors."""
    vectors = run.count(VECTORS)
    with clickhouse_connect.get_client(
        dsn=run.settings.clickhouse_url,
        autogenerate_session_id=False,
        send_receive_timeout=TIMEOUT_SECONDS,
    ) as client:
        tables = ("video_embeddings", "video_embeddings_64")
        try:
            began = time.perf_counter()
            for first in range(0, vectors, AT_ONCE):
                client.command(
                    SQL["insert_embeddings"],
                    parameters={
                        "model_version": VERSION,
                        "first": first,
                        "vectors": min(AT_ONCE, vectors - first),
                    },
                )
            built_seconds = time.perf_counter() - began
            dice = random.Random(1)  # noqa: S311  the same searches every time
            found: dict[str, list[float]] = {"indexed": [], "exact": []}
            hits = 0
            plan = ""
            for number in range(run.count(SEARCHES)):
                asked = {"model_version": VERSION, "video_id": dice.randrange(vectors)}
                ((reference,),) = client.query(SQL["reference"], parameters=asked).result_rows
                asked["reference"] = list(reference)
                answers = {}
                for form in ("indexed", "exact") if number < run.count(EXACT) else ("indexed",):
                    began = time.perf_counter()
                    ((ids,),) = client.query(SQL[form], parameters=asked).result_rows
                    found[form].append((time.perf_counter() - began) * 1000)
                    answers[form] = set(ids)
                if "exact" in answers:
                    hits += len(answers["indexed"] & answers["exact"])
                if not plan:
                    plan = "\n".join(
                        line
                        for (line,) in client.query(
                            f"explain indexes = 1 {SQL['indexed']}", parameters=asked
                        ).result_rows
                    )
            parts = client.query(
                "select count(), sum(secondary_indices_uncompressed_bytes) from system.parts"
                " where active and database = 'raw' and table = 'video_embeddings_64'"
                " and partition = {version:String}",
                parameters={"version": VERSION},
            ).result_rows[0]
        finally:
            for table in tables:
                client.command(f"alter table raw.{table} drop partition '{VERSION}'")
    recall = hits / (10 * len(found["exact"]))
    figures = [
        figure(
            form,
            "ten nearest of a million vectors, by the index"
            if form == "indexed"
            else "the same, by comparing with all",
            latencies,
            seconds=sum(latencies) / 1000,
            clients=1,
        )
        for form, latencies in found.items()
    ]
    return Measured(
        figures=figures,
        values={
            "indexed_p95_ms": figures[0].p95_ms,
            "recall_at_10_rate": recall,
            "build_seconds": built_seconds,
        },
        notes=[f"{vectors} vectors in {parts[0]} parts, built in {built_seconds:.0f} s", plan],
        wrong="" if recall > 0 else "the index finds nothing",
    )


BENCHMARKS = (
    Benchmark(
        name="similar",
        what="the ten nearest of 1,000,000 vectors of 64 dimensions",
        reference="comparing with all of them, in the same run",
        measure=similar,
        needs="up",
        goals=(
            Goal("indexed_p95_ms", 30, "ms"),
            Goal("recall_at_10_rate", 0.95, "", at_least=True),
        ),
        limit_seconds=3_000.0,
        is_apart=True,
    ),
)
