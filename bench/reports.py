"""Benchmarks that tell more than figures, as entries of the list: events, freshness, fallback."""

from __future__ import annotations

from bench.events import Load, measure_events
from bench.fallback import measure_fallback
from bench.freshness import measure_freshness
from bench.measure import Figure
from bench.registry import Benchmark, Goal, Measured, Run

EVENTS_RATE = 10_000.0  # events per second
EVENTS_SECONDS = 30.0
PROBES = 60
HUNG_SECONDS = 30.0


def events(run: Run) -> Measured:
    """Batches of events at a rate, then the highest that is held."""
    report = measure_events(
        run.settings, run.system, EVENTS_RATE, run.seconds(EVENTS_SECONDS), search=not run.is_quick
    )
    exactness = report.exactness
    loads = [report.asked, *report.steps, report.direct]
    return Measured(
        [figure_of(load) for load in loads],
        {
            "p95_ms": report.asked.p95_ms,
            "events_per_second": report.asked.achieved_per_second,
            "errors": report.asked.errors,
            "highest_held_per_second": report.highest_held_per_second,
            "direct_per_second": report.direct.achieved_per_second,
            "rate_of_direct": report.http_to_direct_ratio,
            **{
                f"cpu_{name}_us": report.asked.cpu_us_per_event(name)
                for name in ("api", "postgres", "clickhouse", "redis", "landing")
            },
            "lost": exactness.lost_in_postgres + exactness.lost_in_clickhouse,
            "surplus": exactness.surplus_in_postgres
            + exactness.surplus_in_clickhouse
            + exactness.twice_in_clickhouse,
        },
        details=report,
        wrong="" if exactness.is_exact else "what is stored is not what was acknowledged",
    )


def figure_of(load: Load) -> Figure:
    """Return the batches of a stretch; rates are of batches."""
    return Figure(
        name=load.name,
        what=load.clients,
        requests=load.batches,
        errors=load.errors,
        seconds=load.seconds,
        per_second=round(load.batches / load.seconds, 1),
        p50_ms=load.p50_ms,
        p95_ms=load.p95_ms,
        p99_ms=load.p99_ms,
        clients=1,
        max_ms=load.max_ms,
        loop="open" if load.asked_per_second else "closed",
        asked_per_second=load.asked_per_second,
        late_p99_ms=load.late_p99_ms,
        answers=load.answers,
    )


def freshness(run: Run) -> Measured:
    """Events followed into rollups and scores, likes into the next page."""
    report = measure_freshness(run.settings, run.count(PROBES))
    lags = {lag.what: lag for lag in report.lags}
    return Measured(
        values={
            "rollup_p95_ms": lags["in the rollup"].p95_ms,
            "score_p50_ms": lags["in a served score"].p50_ms,
            "score_p95_ms": lags["in a served score"].p95_ms,
            "unseen": sum(lag.unseen for lag in report.lags),
            "likes_in_next_page_share": min(report.likes_counted, report.likes_ranked)
            / report.likes,
            "next_page_p95_ms": report.next_page.p95_ms,
        },
        details=report,
        wrong="" if report.is_reflected else "a like was not in the next page",
    )


def fallback(run: Run) -> Measured:
    """Posts read while ClickHouse hangs and is killed."""
    report = measure_fallback(run.settings, run.system, max(5.0, run.seconds(HUNG_SECONDS)))
    return Measured(
        values={
            "away_p95_ms": max(each.p95_ms for each in report.readings if each.is_away),
            "refused": sum(each.refused for each in report.readings),
            "ranked_again_seconds": max(
                each.last_timeline_seconds or float("inf") for each in report.returns
            ),
        },
        details=report,
        wrong="" if report.is_served else "pages were refused, slow, or not ranked afterwards",
    )


BENCHMARKS = (
    Benchmark(
        "events",
        "batches of 100 events, 10,000 events a second, then the highest rate held",
        "the same batches straight to the Postgres function",
        events,
        goals=(
            Goal("p95_ms", 100, "ms"),
            Goal("events_per_second", 9_700, "a second", at_least=True),
            Goal("errors", 0, "errors"),
            Goal("lost", 0, "events"),
        ),
        limit_seconds=600,
    ),
    Benchmark(
        "freshness",
        "from an event to rollup and served score; from a like to the next page",
        "none: it is a time from end to end",
        freshness,
        goals=(
            Goal("score_p95_ms", 1_500, "ms"),
            Goal("likes_in_next_page_share", 1.0, "of likes", at_least=True),
        ),
    ),
    Benchmark(
        "posts-fallback",
        "posts read by 50 clients while ClickHouse hangs, and is killed",
        "pages while it is there, same clients",
        fallback,
        needs="posts",
        goals=(
            Goal("away_p95_ms", 500, "ms"),
            Goal("refused", 0, "pages"),
            Goal("ranked_again_seconds", 35, "s"),
        ),
        limit_seconds=420,
    ),
)
