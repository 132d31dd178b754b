"""Reading a feed: from a snapshot (hit), ranked anew (miss), and the query alone."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import clickhouse_connect
import redis
from msgspec import Struct

from api.auth import issue_token
from api.settings import Settings
from bench.measure import Client, Figure, closed_loop

SEED = 20_261_121


class Surface(Struct, frozen=True):
    """A feed: where it is asked for, which view ranks it, and what it is made of."""

    name: str
    path: str
    view: str
    item_type: str


REELS = Surface("feed", "/api/v1/reels?limit=40", "nova.feed__reels", "video")
POSTS = Surface("posts", "/api/v1/feed?limit=50", "nova.feed__posts", "post")
TIMELINE = Surface("timeline", "/api/v1/feed?limit=50&algo=timeline", "", "post")


def viewers(settings: Settings, count: int, item_type: str = "video") -> list[int]:
    """Return viewers who have seen something, the same ones on every run over the same data."""
    with clickhouse_connect.get_client(dsn=settings.clickhouse_url) as client:
        known = client.query(
            "select distinct user_id from raw.user_watch_history"
            " where item_type = {item_type:String} order by user_id",
            parameters={"item_type": item_type},
        ).result_rows
    ids = [int(row[0]) for row in known]
    if not ids:
        raise SystemExit(f"nobody has seen a {item_type} here: load data first (`./nova import …`)")
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


def miss(settings: Settings, surface: Surface) -> list[Figure]:
    """First pages of viewers without a snapshot, through HTTP: 1 client, then 8."""
    request = reader(settings, surface)
    figures = []
    for clients in (1, 8):
        work = [request(viewer_id) for viewer_id in viewers(settings, 300, surface.item_type)]
        work[0]()
        forget(settings)
        figures.append(
            closed_loop(
                f"{surface.name}-miss", "first page, ranked anew, through HTTP", work, clients
            )
        )
    return figures


def hit(settings: Settings, surface: Surface) -> list[Figure]:
    """First pages from snapshots, through HTTP: 1 client, then 8."""
    request = reader(settings, surface)
    forget(settings)
    chosen = [request(viewer_id) for viewer_id in viewers(settings, 100, surface.item_type)]
    figures = []
    for clients in (1, 8):
        forget(settings)
        for piece in chosen:
            piece()
        # Within the rate limit, and before the snapshots are a minute old.
        work = chosen * 40
        figures.append(
            closed_loop(
                f"{surface.name}-hit", "first page from a snapshot, through HTTP", work, clients
            )
        )
    return figures


def query(settings: Settings, surface: Surface) -> list[Figure]:
    """The serving view alone, up to 500 ranked rows per viewer: 1 client."""
    with clickhouse_connect.get_client(dsn=settings.clickhouse_url) as client:

        def of(viewer_id: int) -> Callable[[], bool]:
            def piece() -> bool:
                rows = client.query(
                    f"select * from {surface.view}(viewer_id = {{viewer_id:UInt64}},"  # noqa: S608
                    " as_of = {as_of:DateTime64(3, 'UTC')}, variant = 'default')"
                    " order by position",
                    parameters={"viewer_id": viewer_id, "as_of": datetime.now(UTC)},
                ).row_count
                return bool(rows)

            return piece

        work = [of(viewer_id) for viewer_id in viewers(settings, 200, surface.item_type)]
        work[0]()
        return [
            closed_loop(f"{surface.name}-query", "the serving view alone, up to 500 rows", work, 1)
        ]


# What `./nova bench run` knows: its name, what it measures, and how.
BENCHMARKS: Mapping[str, tuple[str, Callable[[Settings], list[Figure]]]] = {
    "feed-query": ("reels: the serving view alone", lambda settings: query(settings, REELS)),
    "feed-miss": ("reels: first pages, ranked anew", lambda settings: miss(settings, REELS)),
    "feed-hit": ("reels: first pages from snapshots", lambda settings: hit(settings, REELS)),
    "posts-query": ("posts: the serving view alone", lambda settings: query(settings, POSTS)),
    "posts-miss": ("posts: first pages, ranked anew", lambda settings: miss(settings, POSTS)),
    "posts-hit": ("posts: first pages from snapshots", lambda settings: hit(settings, POSTS)),
    "timeline-miss": (
        "posts: first pages of the timeline, from Postgres",
        lambda settings: miss(settings, TIMELINE),
    ),
}
