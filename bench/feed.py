"""Reading a feed: from a snapshot (hit), ranked anew (miss), and the query alone."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import clickhouse_connect
import redis
from clickhouse_connect.driver import Client as ClickHouse
from msgspec import Struct

from api.auth import issue_token
from api.settings import Settings
from bench.load import carry_out, get, plan_of, summed_up, tokens
from bench.measure import Client, Figure, closed_loop, figure
from bench.reference import serving_reference
from bench.registry import Benchmark, Goal, Measured, NotHereError, Run
from bench.statements import Asked, Reels, compiled, for_viewer
from bench.usage import Usage, cpu_ms_each
from bench.world import NoWorldError, world_of

SEED = 20_261_121

HIT_VIEWERS = 1_000
HIT_VIEWERS_LEAST = 200  # of a quick run: fewer would reach their rate limits
HIT_CONNECTIONS = 32
HIT_ROUNDS = 2  # of service and bare handler in turn (count)
# Within a viewer's rate limit, and before the snapshots are a minute old.
HIT_SECONDS = 12.0
WARMING_CONNECTIONS = 8

MISSES = 300
QUERIES = 200
ROWS_LOOKED_AT = 20  # of the queries, those asked again to know how much they read (count)
CANDIDATES_RANKED = 10_000
CANDIDATES_LEAST = 9_900  # where some of as many videos are not public


class Surface(Struct, frozen=True):
    """A feed: where it is asked for, and what it is made of."""

    name: str
    path: str
    view: str
    item_type: str


REELS = Surface("feed", "/api/v1/reels?limit=40", "nova.feed__reels", "video")
POSTS = Surface("posts", "/api/v1/feed?limit=50", "nova.feed__posts", "post")
TIMELINE = Surface("timeline", "/api/v1/feed?limit=50&algo=timeline", "", "post")


def viewers(settings: Settings, count: int, item_type: str = "video") -> list[int]:
    """
    Return viewers who have seen something, the same ones on every run over the same data.

    Raises `NotHereError` when there are none.
    """
    if item_type == REELS.item_type:
        with contextlib.suppress(NoWorldError):
            world = world_of(settings)
            return world.viewers(min(count, world.counts.viewers), SEED)
    with clickhouse_connect.get_client(dsn=settings.clickhouse_url) as client:
        known = client.query(
            "select distinct user_id from raw.user_watch_history"
            " where item_type = {item_type:String} order by user_id",
            parameters={"item_type": item_type},
        ).result_rows
    ids = [int(row[0]) for row in known]
    if not ids:
        raise NotHereError(f"nobody has seen a {item_type} here: load data first")
    return random.Random(SEED).sample(ids, min(count, len(ids)))  # noqa: S311


def forget(settings: Settings) -> None:
    """Empty Redis: no snapshot, and no rate limit reached."""
    with redis.Redis.from_url(settings.redis_url) as client:
        client.flushdb()


def reader(settings: Settings, surface: Surface) -> Callable[[int], Callable[[], bool]]:
    """Return a maker of requests for a viewer's first page; each thread has its connection."""
    local = threading.local()

    def request(viewer_id: int) -> Callable[[], bool]:
        token = issue_token(settings, user_id=viewer_id, ttl_seconds=3_600)

        def piece() -> bool:
            if not hasattr(local, "client"):
                local.client = Client(settings.public_base_url)
            status, body = local.client.get(surface.path, token)
            return status == 200 and b'"data"' in body and b'"fallback":false' in body

        return piece

    return request


def miss(run: Run, surface: Surface) -> Measured:
    """First pages of viewers without a snapshot, through HTTP: 1 client, then 8."""
    settings = run.settings
    request = reader(settings, surface)
    measured = Measured()
    for clients in (1, 8):
        chosen = viewers(settings, run.count(MISSES), surface.item_type)
        work = [request(viewer_id) for viewer_id in chosen]
        work[0]()
        forget(settings)
        name = f"miss, {clients} client{'s' if clients > 1 else ''}"
        usage = Usage(run.system)
        found = closed_loop(name, "first page, ranked anew, through HTTP", work, clients)
        measured.figures.append(found)
        measured.values |= {
            f"p95_{clients}_ms": found.p95_ms,
            f"per_second_{clients}": found.per_second,
            **cpu_ms_each([usage.seconds()], found.requests),
        }
    measured.values["errors"] = sum(each.errors for each in measured.figures)
    return measured


def hit(run: Run, surface: Surface) -> Measured:
    """
    First pages from snapshots, in turn with a bare handler that gets one value from Redis.

    Both are served by the same server, with as many workers, to the same client.
    """
    settings = run.settings
    signed = tokens(
        settings,
        viewers(settings, max(run.count(HIT_VIEWERS), HIT_VIEWERS_LEAST), surface.item_type),
    )
    asks = [get(surface.path, token) for token in signed.values()]
    seconds = run.seconds(HIT_SECONDS)
    rounds = 1 if run.is_quick else HIT_ROUNDS
    pages, bare, used = [], [], []
    for _ in range(rounds):
        warm_up(run, surface, list(signed))
        plan = plan_of(settings.public_base_url, asks, connections=HIT_CONNECTIONS, seconds=seconds)
        usage = Usage(run.system)
        pages.append(carry_out(plan, run.folder))
        used.append(usage.seconds())
        with serving_reference(settings, surface.path, asks[0].token) as base_url:
            plan = plan_of(
                base_url, asks, connections=HIT_CONNECTIONS, seconds=seconds, warm_up_path="/"
            )
            bare.append(carry_out(plan, run.folder))
    figures = [
        summed_up(
            name,
            what,
            [outcome for each in found for outcome in each.outcomes],
            seconds=sum(each.seconds for each in found),
            connections=HIT_CONNECTIONS,
        )
        for name, what, found in (
            ("hit", "first page from a snapshot", pages),
            ("bare handler", "a page of the same size, one Redis GET", bare),
        )
    ]
    ours, reference = figures
    client = sum(each.cpu_seconds for each in pages) / sum(each.seconds for each in pages)
    return Measured(
        figures,
        {
            "p50_ms": ours.p50_ms,
            "p95_ms": ours.p95_ms,
            "per_second": ours.per_second,
            "bare_per_second": reference.per_second,
            "bare_p95_ms": reference.p95_ms,
            "rate_of_bare": ours.per_second / reference.per_second,
            "hit_share": ours.hits / ours.requests,
            "errors": ours.errors,
            "client_cores": client,
            **cpu_ms_each(used, ours.requests),
        },
        wrong="" if reference.errors == 0 else f"bare handler: {reference.answers}",
    )


def warm_up(run: Run, surface: Surface, chosen: Sequence[int]) -> Figure:
    """Forget everything, then have each viewer's first page made."""
    forget(run.settings)
    signed = tokens(run.settings, chosen)
    # One request for each: split over plans would be one client too many.
    request = reader(run.settings, surface)
    work = [request(viewer) for viewer in signed]
    return closed_loop("warming", "first pages made", work, WARMING_CONNECTIONS)


def query(run: Run, surface: Surface) -> Measured:
    """The serving view alone, up to 500 ranked rows per viewer."""
    statement = (
        f"select * from {surface.view}(viewer_id = {{viewer_id:UInt64}},"  # noqa: S608
        " as_of = {as_of:DateTime64(3, 'UTC')}, variant = {variant:String}) order by position"
    )
    with clickhouse_connect.get_client(dsn=run.settings.clickhouse_url) as client:
        chosen = viewers(run.settings, run.count(QUERIES), surface.item_type)
        as_of = datetime.now(UTC)
        ask(client, statement, for_viewer(chosen[0], as_of))
        began = time.perf_counter()
        latencies = [ask(client, statement, for_viewer(each, as_of))[0] for each in chosen]
        seconds = time.perf_counter() - began
    found = figure("query", "up to 500 ranked rows", latencies, seconds=seconds, clients=1)
    return Measured([found], {"p50_ms": found.p50_ms, "p95_ms": found.p95_ms})


def ask(
    client: ClickHouse, statement: str, parameters: dict[str, Any]
) -> tuple[float, list[dict[str, Any]]]:
    """Ask ClickHouse; returns milliseconds and rows."""
    began = time.perf_counter()
    result = client.query(statement, parameters=parameters)
    latency_ms = (time.perf_counter() - began) * 1000
    return latency_ms, list(result.named_results())


def against_naive(run: Run) -> Measured:
    """
    The query behind a page of reels, in turn with one of joins and `in`, for the same viewers.

    Every row served must be among the other's candidates, with the same score.
    """
    naive = compiled(run.settings, ["naive_feed"], run.folder)["naive_feed"]
    chosen = viewers(run.settings, run.count(QUERIES))
    return asyncio.run(in_turn(run.settings, naive, chosen))


async def in_turn(settings: Settings, naive: str, chosen: Sequence[int]) -> Measured:
    """Ask both for each viewer, one after the other."""
    fast: list[Asked] = []
    slow: list[Asked] = []
    rows_read: list[int] = []
    alike = short = 0
    strange: list[str] = []
    async with Reels(settings) as reels:
        for number, viewer in enumerate([chosen[0], *chosen]):
            as_of = datetime.now(UTC)
            ours = await reels.ranked(viewer, as_of)
            if number < ROWS_LOOKED_AT:
                rows_read.append(await reels.rows_read())
            theirs = await reels.clickhouse.ask(naive, for_viewer(viewer, as_of))
            if not number:
                continue  # the first of each is read for the first time
            fast.append(ours)
            slow.append(theirs)
            known = {row["video_id"]: row["score_ppm"] for row in theirs.rows}
            others = sum(known.get(row["video_id"]) != row["score_ppm"] for row in ours.rows)
            # Where sources make no page the list is filled, which the naive query leaves out.
            if len(known) < len(ours.rows):
                short += 1
            elif others:
                strange.append(f"viewer {viewer}: {others} of {len(ours.rows)} rows")
            else:
                alike += 1
    figures = [
        figure(name, what, found, seconds=sum(found) / 1000, clients=1)
        for name, what, found in (
            ("query", "as the API ranks", [each.latency_ms for each in fast]),
            ("naive", "joins and `in`, not saturated", [each.latency_ms for each in slow]),
        )
    ]
    return Measured(
        figures,
        {
            "p50_ms": figures[0].p50_ms,
            "p95_ms": figures[0].p95_ms,
            "naive_p50_ms": figures[1].p50_ms,
            "naive_p95_ms": figures[1].p95_ms,
            "p95_of_naive": figures[0].p95_ms / figures[1].p95_ms,
            "rows_read_most": max(rows_read),
            "viewers_compared": len(fast) - short,
            "viewers_alike": alike,
        },
        # Not wrong by itself: signals may be refreshed between the two questions.
        notes=[f"differs from the naive query: {each}" for each in strange[:5]],
    )


def rank_candidates(run: Run) -> Measured:
    """Ten thousand candidates scored for a viewer, and the best 500 of them in order."""
    with clickhouse_connect.get_client(dsn=run.settings.clickhouse_url) as client:
        there = int(client.command("select count() from nova.video_signals"))
        candidates = min(there, CANDIDATES_RANKED)
        if candidates < CANDIDATES_LEAST:
            raise NotHereError(f"{there} videos are here, {CANDIDATES_LEAST} are needed")
        statement = compiled(run.settings, ["rank_candidates"], run.folder)["rank_candidates"]
        as_of = datetime.now(UTC)

        def ranked(viewer: int, places: int) -> float:
            return ask(client, statement, {**for_viewer(viewer, as_of), "places": places})[0]

        chosen = viewers(run.settings, run.count(QUERIES))
        ranked(chosen[0], candidates)
        pairs = [(ranked(each, candidates), ranked(each, 1)) for each in chosen]
    many, one = ([pair[place] for pair in pairs] for place in (0, 1))
    figures = [
        figure(
            f"{candidates:,} candidates",
            "scored, best 500 in order",
            many,
            seconds=sum(many) / 1000,
            clients=1,
        ),
        figure("1 candidate", "the same statement", one, seconds=sum(one) / 1000, clients=1),
    ]
    return Measured(
        figures,
        {
            "p50_ms": figures[0].p50_ms,
            "p95_ms": figures[0].p95_ms,
            "one_candidate_p50_ms": figures[1].p50_ms,
        },
    )


BENCHMARKS = (
    Benchmark(
        "feed-hit",
        "reels: first pages from snapshots, 32 connections",
        "a bare handler with one Redis GET, same server",
        lambda run: hit(run, REELS),
        goals=(
            Goal("p95_ms", 5, "ms"),
            Goal("p95_ms", 100, "ms, as first asked"),
            Goal("rate_of_bare", 0.8, "of the bare handler's rate", at_least=True),
            # A refusal is quick: without these two the others would say nothing.
            Goal("hit_share", 0.99, "of pages", at_least=True),
            Goal("errors", 0, "errors"),
        ),
    ),
    Benchmark(
        "feed-query",
        "reels: the query of a miss alone",
        "a query of joins and `in`, same viewers",
        against_naive,
        goals=(
            Goal("p95_ms", 20, "ms"),
            Goal("p95_of_naive", 0.4, "of the naive query's p95"),
        ),
    ),
    Benchmark(
        "feed-miss",
        "reels: first pages, ranked anew, 1 and 8 clients",
        "the query alone (feed-query)",
        lambda run: miss(run, REELS),
        goals=(
            Goal("p95_1_ms", 30, "ms"),
            Goal("p95_1_ms", 300, "ms, as first asked"),
            Goal("p95_8_ms", 120, "ms"),
            Goal("per_second_8", 100, "a second", at_least=True),
            Goal("errors", 0, "errors"),
        ),
    ),
    Benchmark(
        "rank-candidates",
        "10,000 candidates scored and ordered in the database",
        "the same statement with one candidate",
        rank_candidates,
        goals=(Goal("p95_ms", 20, "ms"),),
    ),
    Benchmark(
        "posts-hit",
        "posts: first pages from snapshots, 32 connections",
        "a bare handler with one Redis GET, same server",
        lambda run: hit(run, POSTS),
        needs="posts",
    ),
    Benchmark(
        "posts-query",
        "posts: the serving view alone",
        "none",
        lambda run: query(run, POSTS),
        needs="posts",
    ),
    Benchmark(
        "posts-miss",
        "posts: first pages, ranked anew, 1 and 8 clients",
        "the serving view alone (posts-query)",
        lambda run: miss(run, POSTS),
        needs="posts",
    ),
    Benchmark(
        "timeline-miss",
        "posts: first pages of the timeline, from Postgres",
        "none",
        lambda run: miss(run, TIMELINE),
        needs="posts",
    ),
)
