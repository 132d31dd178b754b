"""Reading a feed: from a snapshot (hit), ranked anew (miss), and the query alone."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from datetime import UTC, datetime

import clickhouse_connect
import redis

from api.auth import issue_token
from api.settings import Settings
from bench.measure import Client, Figure, closed_loop

PATH = "/api/v1/reels?limit=40"
SEED = 20_261_121


def viewers(settings: Settings, count: int) -> list[int]:
    """Return viewers with a watch history, the same ones on every run over the same data."""
    with clickhouse_connect.get_client(dsn=settings.clickhouse_url) as client:
        known = client.query(
            "select distinct user_id from raw.user_watch_history order by user_id"
        ).result_rows
    ids = [int(row[0]) for row in known]
    if not ids:
        raise SystemExit("nobody has watched anything here: load data first (`./nova import …`)")
    return random.Random(SEED).sample(ids, min(count, len(ids)))  # noqa: S311


def forget(settings: Settings) -> None:
    """Empty Redis: no snapshot, and no rate limit reached."""
    with redis.Redis.from_url(settings.redis_url) as client:
        client.flushdb()


def reader(settings: Settings) -> Callable[[int], Callable[[], bool]]:
    """Return a maker of requests for a viewer's first page; each thread has its connection."""
    local = threading.local()

    def request(viewer_id: int) -> Callable[[], bool]:
        token = issue_token(settings, user_id=viewer_id, ttl_seconds=3_600)

        def piece() -> bool:
            if not hasattr(local, "client"):
                local.client = Client(settings.public_base_url)
            status, body = local.client.get(PATH, token)
            return status == 200 and b'"data"' in body

        return piece

    return request


def feed_miss(settings: Settings) -> list[Figure]:
    """First pages of viewers without a snapshot, through HTTP: 1 client, then 8."""
    request = reader(settings)
    figures = []
    for clients in (1, 8):
        work = [request(viewer_id) for viewer_id in viewers(settings, 300)]
        work[0]()
        forget(settings)
        figures.append(
            closed_loop("feed-miss", "first page, ranked anew, through HTTP", work, clients)
        )
    return figures


def feed_hit(settings: Settings) -> list[Figure]:
    """First pages from snapshots, through HTTP: 1 client, then 8."""
    request = reader(settings)
    forget(settings)
    chosen = [request(viewer_id) for viewer_id in viewers(settings, 100)]
    figures = []
    for clients in (1, 8):
        forget(settings)
        for piece in chosen:
            piece()
        # Within the rate limit, and before the snapshots are a minute old.
        work = chosen * 40
        figures.append(
            closed_loop("feed-hit", "first page from a snapshot, through HTTP", work, clients)
        )
    return figures


def feed_query(settings: Settings) -> list[Figure]:
    """The serving view alone, up to 500 ranked rows per viewer: 1 client."""
    with clickhouse_connect.get_client(dsn=settings.clickhouse_url) as client:

        def query(viewer_id: int) -> Callable[[], bool]:
            def piece() -> bool:
                rows = client.query(
                    "select * from nova.feed__reels(viewer_id = {viewer_id:UInt64},"
                    " as_of = {as_of:DateTime64(3, 'UTC')}, variant = 'default')"
                    " order by position",
                    parameters={"viewer_id": viewer_id, "as_of": datetime.now(UTC)},
                ).row_count
                return bool(rows)

            return piece

        work = [query(viewer_id) for viewer_id in viewers(settings, 200)]
        work[0]()
        return [closed_loop("feed-query", "the serving view alone, up to 500 rows", work, 1)]
