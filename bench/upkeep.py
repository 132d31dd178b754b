"""What is done beside serving: refreshing what ranks, landing, warming; and its memory."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence

import clickhouse_connect
import psycopg
import redis
from clickhouse_connect.driver import Client as ClickHouse

from api.reels.warming import warm
from bench.events import Bench
from bench.feed import REELS, forget, viewers, warm_up
from bench.load import Clients, carry_out, get, plan_of, summed_up, tokens
from bench.openloop import Outcome, Plan
from bench.registry import Benchmark, Goal, Measured, Run
from bench.service import Readers
from bench.usage import Watch
from bench.writes import at_random

REFRESH_ROUNDS = 3  # count
REFRESH_SECONDS = 60.0  # after so many no further round is begun

WARMED = 1_000  # viewers at once
WARM_ROUNDS = 4  # of other viewers each (count)
LIVE_VIEWERS = 500
LIVE_RATE = 100.0  # requests per second, all hits
BEFORE_SECONDS = 10.0
PAUSE_SECONDS = 2.0  # between rounds: what is live may catch up
WARM_SECONDS = 15.0  # of a round, the longest

MEMORY_RATE = 300.0  # requests per second
MEMORY_SECONDS = 60.0
# Of each process at L (MiB); docs/performance.md says what they are made of.
BUDGETS_MIB = {
    "postgres": 2_048,
    "redis": 1_024,
    "clickhouse": 6_144,
    "api": 768,
    "charts": 192,
    "housekeeping": 192,
    "landing": 256,
    "reconciliation": 256,
    "refreshing": 192,
}
MIB = 2**20

POSTGRES_EVENTS = """
select
    (
        select coalesce(sum(pg_total_relation_size(relid)), 0)
        from pg_partition_tree('app.events')
        where isleaf
    ),
    (select count(*) from app.events)
"""
CLICKHOUSE_EVENTS = """
select sum(bytes_on_disk), sum(rows)
from system.parts
where active and database = 'raw' and table = 'events'
"""
DICTIONARIES = """
select name, element_count
from system.dictionaries
where database = 'nova'
order by name
"""
DICTIONARY_BYTES = """
select name, bytes_allocated
from system.dictionaries
where database = 'nova'
order by name
"""
VIEWS = """
select view, status, last_success_duration_ms, read_rows
from system.view_refreshes
where database = 'nova'
order by view
"""


def refreshes(client: ClickHouse) -> dict[str, tuple[int, int]]:
    """
    Refresh every precomputed model, then load every dictionary.

    Returns milliseconds and rows read by model.
    """
    views = [str(row[0]) for row in client.query(VIEWS).result_rows]
    found = {}
    for view in views:
        client.command(f"system refresh view nova.`{view}`")
        client.command(f"system wait view nova.`{view}`")
        told = {row[0]: (int(row[2]), int(row[3])) for row in client.query(VIEWS).result_rows}
        found[view.removesuffix("_mv")] = told[view]
    for name, rows in client.query(DICTIONARIES).result_rows:
        began = time.perf_counter()
        client.command(f"system reload dictionary nova.`{name}`")
        found[str(name)] = (round((time.perf_counter() - began) * 1000), int(rows))
    return found


def refresh(run: Run) -> Measured:
    """Every precomputed model, one after the other, the median of some rounds."""
    told = []
    ends_at = time.monotonic() + run.seconds(REFRESH_SECONDS)
    with clickhouse_connect.get_client(dsn=run.settings.clickhouse_url) as client:
        while not told or (len(told) < REFRESH_ROUNDS and time.monotonic() < ends_at):
            told.append(refreshes(client))
    values: dict[str, float] = {
        f"{model}_ms": statistics.median(each[model][0] for each in told) for model in told[0]
    }
    return Measured(
        values={
            "all_ms": sum(values.values()),
            "rows_read": sum(rows for _, rows in told[-1].values()),
            **values,
        }
    )


def landing(run: Run) -> Measured:
    """Events straight into Postgres, until ClickHouse and its rollups have them."""
    load = Bench(run.settings, run.system, run.folder).straight_to_postgres("function")
    seconds = load.seconds + load.landed_after_ms / 1000
    return Measured(
        values={
            "events_per_second": load.events / seconds,
            "landed_after_ms": load.landed_after_ms,
            "into_postgres_per_second": load.achieved_per_second,
            **event_bytes(run),
        }
    )


def event_bytes(run: Run) -> dict[str, float]:
    """Return what an event takes on disk, with its indexes (bytes)."""
    with psycopg.connect(run.settings.postgres_url) as connection:
        row = connection.execute(POSTGRES_EVENTS).fetchone()
    assert row is not None
    with clickhouse_connect.get_client(dsn=run.settings.clickhouse_url) as client:
        size, rows = client.query(CLICKHOUSE_EVENTS).result_rows[0]
    return {
        "postgres_bytes_per_event": float(row[0]) / max(1, int(row[1])),
        "clickhouse_bytes_per_event": size / max(1, rows),
    }


def live_plan(run: Run, signed: Sequence[str], seconds: float) -> Plan:
    """Return hits at random times."""
    times = at_random(LIVE_RATE, seconds, seed=1)
    return plan_of(
        run.settings.public_base_url,
        [get(REELS.path, signed[number % len(signed)], at) for number, at in enumerate(times)],
    )


def warming(run: Run) -> Measured:
    """Rank for a thousand viewers in the database, while others read from their snapshots."""
    rounds = 1 if run.is_quick else WARM_ROUNDS
    known = viewers(run.settings, LIVE_VIEWERS + rounds * run.count(WARMED))
    live, rest = known[:LIVE_VIEWERS], known[LIVE_VIEWERS:]
    each = len(rest) // rounds
    signed = list(tokens(run.settings, live).values())
    warm_up(run, REELS, live)
    before = carry_out(live_plan(run, signed, run.seconds(BEFORE_SECONDS)), run.folder)

    plan = live_plan(run, signed, rounds * (PAUSE_SECONDS + WARM_SECONDS) / 2)
    clients = Clients("bench.openloop", [plan], run.folder)
    took: list[float] = []
    made = failed = 0
    spans: list[tuple[float, float]] = []
    with clients.ready():
        clients.begin()
        began = time.perf_counter()
        for number in range(rounds):
            started = time.perf_counter()
            warmed = asyncio.run(warm(run.settings, rest[number * each : (number + 1) * each]))
            ended = time.perf_counter()
            made += warmed.ranked
            failed += warmed.failed
            took.append(ended - started)
            spans.append((started - began, ended - began))
            time.sleep(PAUSE_SECONDS)
        (found,) = clients.outcomes(plan.requests[-1].at_seconds + 60.0)

    def is_meanwhile(outcome: Outcome) -> bool:
        at = plan.requests[outcome.request].at_seconds
        return any(start <= at <= end for start, end in spans)

    meanwhile = [outcome for outcome in found.outcomes if is_meanwhile(outcome)]
    seconds = sum(end - start for start, end in spans)
    figures = [
        summed_up(
            "before",
            "hits, nothing else",
            before.outcomes,
            seconds=before.seconds,
            asked_per_second=LIVE_RATE,
        ),
        summed_up(
            "meanwhile",
            "hits while others are warmed",
            meanwhile,
            seconds=seconds,
            asked_per_second=LIVE_RATE,
        ),
    ]
    return Measured(
        figures,
        {
            "seconds": statistics.median(took),
            "seconds_most": max(took),
            "warmed": made / rounds,
            "p95_of_before": figures[1].p95_ms / (figures[0].p95_ms or 1.0),
            "errors": sum(figure.errors for figure in figures),
        },
        notes=[f"{made} of {rounds * each} viewers were ranked, {failed} were not"],
        wrong=f"{failed} of {rounds * each} viewers were not ranked" if failed else "",
    )


def memory(run: Run) -> Measured:
    """What each process holds under a mixed load, against its budget."""
    forget(run.settings)
    readers = Readers(run.settings, MEMORY_RATE)
    watch = Watch(run.system)
    with watch:
        plan = plan_of(
            run.settings.public_base_url, readers.load(run.seconds(MEMORY_SECONDS), seed=1)
        )
        carry_out(plan, run.folder)
    with redis.Redis.from_url(run.settings.redis_url) as client:
        used = int(client.info("memory")["used_memory"])  # type: ignore[index]
        snapshots = sum(1 for _ in client.scan_iter("*snapshot:*", count=1_000))
    with clickhouse_connect.get_client(dsn=run.settings.clickhouse_url) as clickhouse:
        dictionaries = clickhouse.query(DICTIONARY_BYTES).result_rows
    return Measured(
        values={
            **{f"{name}_mib": mib for name, mib in watch.memory_mib.items()},
            **{f"{name}_mib": size / MIB for name, size in dictionaries},
            "all_mib": sum(watch.memory_mib.values()),
            "snapshots": snapshots,
            "redis_kib_per_snapshot": used / 1024 / max(1, snapshots),
        }
    )


BENCHMARKS = (
    Benchmark(
        "warming",
        "1,000 viewers ranked ahead in the database, beside live reads",
        "live hits before it",
        warming,
        goals=(
            Goal("seconds", 3, "s"),
            Goal("p95_of_before", 1.5, "of the live p95 before"),
            Goal("errors", 0, "errors"),
        ),
    ),
    Benchmark(
        "refresh",
        "every precomputed model refreshed, one after the other",
        "none",
        refresh,
    ),
    Benchmark(
        "landing",
        "200,000 events straight into Postgres, until ClickHouse has them",
        "the Postgres function alone",
        landing,
    ),
    Benchmark(
        "memory",
        "what each process holds under a mixed load of 300 requests a second",
        "a budget of each process, for L",
        memory,
        goals=tuple(Goal(f"{name}_mib", mib, "MiB") for name, mib in BUDGETS_MIB.items()),
    ),
)
