"""What a day of many viewers needs, reckoned from published figures: docs/capacity.md."""

from __future__ import annotations

import math
from collections.abc import Mapping

from msgspec import Struct

from bench.report import ROOT, Published, ReportError, number, table

PAGE = ROOT / "docs" / "capacity.md"
DAILY_VIEWERS = (1_000_000, 10_000_000, 100_000_000)

SECONDS_PER_DAY = 86_400
GIB = 2**30


class Habits(Struct, frozen=True):
    """What one viewer does on a day, and how a day is spread; docs/capacity.md says why."""

    first_pages: float = 8.0
    further_pages: float = 5.0
    events: float = 430.0
    writes: float = 22.0  # requests: batches of 20 events, and what is tapped
    peak: float = 2.5  # times the mean of the day, in its busiest minutes
    snapshots: float = 1.5  # kept at a time: the last for a day, those before it for two hours


class Machines(Struct, frozen=True):
    """What is bought, and how full it may be."""

    cores: int = 32
    busy_share: float = 0.6
    redis_gib: float = 48.0
    kafka_partition_events: float = 10_000.0  # per second
    retention_days: float = 90.0
    replicas: int = 2


HABITS = Habits()
MACHINES = Machines()

# What is taken from the results: benchmark, value, what it is.
MEASURED = (
    ("feed-hit", "cpu_ms", "processor time of a hit, all processes (ms)"),
    ("feed-miss", "cpu_clickhouse_ms", "of a miss, ClickHouse (ms)"),
    ("feed-miss", "cpu_ms", "of a miss, all processes (ms)"),
    ("events", "cpu_api_us", "of an event, API (µs)"),
    ("events", "cpu_postgres_us", "of an event, Postgres (µs)"),
    ("events", "cpu_clickhouse_us", "of an event, ClickHouse (µs)"),
    ("events", "direct_per_second", "events one Postgres takes, at most (a second)"),
    ("memory", "redis_kib_per_snapshot", "Redis by snapshot, everything (KiB)"),
    ("landing", "postgres_bytes_per_event", "an event in Postgres (bytes)"),
    ("landing", "clickhouse_bytes_per_event", "an event in ClickHouse (bytes)"),
)


def inputs(found: Published) -> dict[tuple[str, str], float]:
    """Return the measured figures; raises `ReportError`, naming it, when one is missing."""
    values = {}
    for benchmark, value, _ in MEASURED:
        each = found.largest(benchmark)
        if each is None or value not in each.result.values:
            raise ReportError(f"docs/capacity.md needs `{value}` of `{benchmark}`: publish a run")
        values[benchmark, value] = each.result.values[value]
    return values


def per_second(daily: float, viewers: int) -> float:
    """Return the rate at the peak of what every viewer does so often a day."""
    return viewers * daily / SECONDS_PER_DAY * HABITS.peak


def needs(viewers: int, measured: Mapping[tuple[str, str], float]) -> dict[str, float]:
    """Return what so many daily viewers need."""
    first = per_second(HABITS.first_pages, viewers)
    further = per_second(HABITS.further_pages, viewers)
    events = per_second(HABITS.events, viewers)
    hit_ms = measured["feed-hit", "cpu_ms"]
    rank_ms = measured["feed-miss", "cpu_clickhouse_ms"]
    rest_ms = measured["feed-miss", "cpu_ms"] - rank_ms
    per_machine = MACHINES.cores * MACHINES.busy_share

    serving = (
        further * hit_ms / 1_000
        + first * rest_ms / 1_000
        + events * measured["events", "cpu_api_us"] / 1e6
    )
    ranking = first * rank_ms / 1_000
    landing = events * measured["events", "cpu_clickhouse_us"] / 1e6
    redis_gib = viewers * HABITS.snapshots * measured["memory", "redis_kib_per_snapshot"] / 2**20
    postgres_rate = measured["events", "direct_per_second"] * MACHINES.busy_share
    kept = viewers * HABITS.events * MACHINES.retention_days
    return {
        "first pages, each ranked (a second)": first,
        "further pages, hits (a second)": further,
        "events (a second)": events,
        "cores: API and Redis": serving,
        "cores: ranking in ClickHouse": ranking,
        "cores: landing in ClickHouse": landing,
        "API machines": max(2, math.ceil(serving / per_machine)),
        "ClickHouse replicas of viewers' data, in all": max(
            MACHINES.replicas, math.ceil((ranking + landing) / per_machine)
        ),
        "Postgres shards (by user)": math.ceil(events / postgres_rate),
        "Kafka partitions": max(3, math.ceil(events / MACHINES.kafka_partition_events)),
        "Redis, GiB": redis_gib,
        "Redis shards, without replicas": max(1, math.ceil(redis_gib / MACHINES.redis_gib)),
        "events kept in ClickHouse, TiB, all replicas": kept
        * measured["landing", "clickhouse_bytes_per_event"]
        * MACHINES.replicas
        / 2**40,
        "events a day in Postgres, GiB": viewers
        * HABITS.events
        * measured["landing", "postgres_bytes_per_event"]
        / GIB,
    }


def page(found: Published) -> str:
    """Return the made part of the page."""
    measured = inputs(found)
    rows = []
    for benchmark, value, words in MEASURED:
        each = found.largest(benchmark)
        assert each is not None
        world = each.run.size or "as it was"
        told = number(measured[benchmark, value])
        rows.append([words, told, f"`{benchmark}` in {world}", f"{each.run.at}, {each.run.commit}"])
    sized = [needs(viewers, measured) for viewers in DAILY_VIEWERS]
    habits = [
        [name.replace("_", " "), number(value)]
        for struct in (HABITS, MACHINES)
        for name, value in ((field, getattr(struct, field)) for field in struct.__struct_fields__)
    ]
    return "\n".join(
        [
            "### Measured",
            "",
            table(["what", "figure", "benchmark", "run"], rows),
            "",
            "### Assumed",
            "",
            table(["of one viewer and day, and of machines", ""], habits),
            "",
            "### What follows",
            "",
            table(
                ["daily viewers", *(f"{viewers:,}" for viewers in DAILY_VIEWERS)],
                [[name, *(number(one[name]) for one in sized)] for name in sized[0]],
            ),
        ]
    )
