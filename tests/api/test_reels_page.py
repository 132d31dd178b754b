"""GET /api/v1/reels and /trending: what one page holds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import psycopg
import pytest
import redis
from psycopg.rows import tuple_row

from api.charts.reader import FRESH_SECONDS
from api.counters.counts import PREFIX, ItemCounts
from api.counters.store import CounterStore
from api.reels.schemas import COUNTERS, ReelPage, TrendingPage
from api.settings import Settings
from api.snapshots.watch import POLL_SECONDS
from api.stores import Stores
from tests.api.charts import age_charts
from tests.api.conftest import Api, Catalogue, Token, ids_of, new_id, page, serving
from tests.api.proxy import Proxy


async def test_a_page_is_what_the_contract_says(api: Api, bearer: Token) -> None:
    headers = bearer(new_id())
    response = await api.get("/api/v1/reels", headers=headers)

    body = msgspec.json.decode(response.content, type=ReelPage)
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "private, no-store"
    assert len(body.data) == 40
    assert body.has_more
    assert body.meta.algo == "ch"
    assert body.meta.variant == "default"
    assert (body.meta.cache_hit, body.meta.degraded, body.meta.fallback) == (False, "none", False)
    assert abs(datetime.now(UTC) - body.meta.as_of) < timedelta(minutes=1)
    assert body.meta.total_count >= 40
    assert body.meta.response_time_ms > 0
    assert response.json()["meta"]["as_of"].endswith("Z")


@pytest.mark.parametrize("away", ["", "postgres"])
async def test_items_are_hydrated(
    settings: Settings, bearer: Token, catalogue: Catalogue, away: str
) -> None:
    """From Postgres; from ClickHouse while that is away, and then with the same."""
    [video] = catalogue.videos(1, age=timedelta(seconds=1))
    catalogue.plays({video: 1.0}, views=1_000_000)
    columns = ["video_id", "views", "completions", "watch_ms", "likes", "shares", "comments"]
    totals = [video, 9, 5.0, 1, 7, 3, 2]
    catalogue.insert("video_engagement", columns, [totals])
    with psycopg.connect(settings.postgres_url) as postgres:
        postgres.execute(
            f"insert into app.video_engagement ({', '.join(columns)}) "
            "values (%s, %s, %s, %s, %s, %s, %s)",
            totals,
        )
    catalogue.refresh()
    nowhere = {"postgres_url": "postgresql://nobody@127.0.0.1:1/x"} if away else {}
    async with serving(msgspec.structs.replace(settings, **nowhere)) as api:
        first = (await page(api, bearer(new_id()), limit=1))["data"][0]

    creator = catalogue.client.command(
        "select creator_id from raw.videos where video_id = {id:UInt64}", parameters={"id": video}
    )
    assert first["id"] == str(video)
    assert first["creator_id"] == str(creator)
    assert first["title"] == 'video 0 "quoted" \n 🎬'
    assert first["duration_seconds"] == 15.5
    assert (first["view_count"], first["like_count"]) == (9, 7)
    assert (first["share_count"], first["comment_count"]) == (3, 2)
    assert first["completion_rate"] == 5 / 9
    assert 0 < first["ranking_score"] <= 1
    assert first["source"] == "trending"
    assert first["thumbnail_url"] is None
    assert first["streaming_url"] == f"http://127.0.0.1:8000/api/v1/reels/stream/{video}"


async def test_ids_above_2_53_survive(api: Api, bearer: Token, catalogue: Catalogue) -> None:
    """Through ClickHouse, Python, JSON, Redis' Lua and the cursor; a double would round them."""
    headers = bearer(new_id())
    public = catalogue.public_ids()
    made = await page(api, headers)
    kept = await page(api, headers)
    assert not made["meta"]["cache_hit"]
    assert kept["meta"]["cache_hit"]
    for body in (made, kept):
        assert all(isinstance(item["id"], str) for item in body["data"])
        assert set(ids_of(body)) <= public
        assert any(item_id > 2**53 and item_id % 2 for item_id in ids_of(body))
    assert made["data"] == kept["data"]


async def test_scores_fall_and_ties_are_there(api: Api, bearer: Token) -> None:
    """Saturation may lift somebody over a crowded creator, never by more than it must."""
    items = (await page(api, bearer(new_id()), limit=50))["data"]
    scores = [item["ranking_score"] for item in items]
    assert scores[0] == max(scores)
    assert len(set(scores)) < len(scores)


async def test_algo_trending_pages_the_chart(api: Api, bearer: Token) -> None:
    headers = bearer(new_id())
    first = await page(api, headers, algo="trending", limit=30)
    second = await page(api, headers, cursor=first["next_cursor"], limit=30)
    assert first["meta"]["algo"] == second["meta"]["algo"] == "trending"
    assert first["data"][0]["ranking_score"] == 1.0
    scores = [item["ranking_score"] for item in first["data"] + second["data"]]
    assert scores == sorted(scores, reverse=True)
    assert not set(ids_of(first)) & set(ids_of(second))


@pytest.mark.parametrize("window", ["1h", "24h", "7d"])
async def test_the_chart_is_the_same_for_everyone(api: Api, bearer: Token, window: str) -> None:
    answers = [
        await api.get("/api/v1/reels/trending", params={"window": window}, headers=bearer(new_id()))
        for _ in range(2)
    ]
    first, second = (msgspec.json.decode(a.content, type=TrendingPage) for a in answers)
    assert first.data == second.data
    assert len(first.data) == 100
    assert first.meta.window == window
    assert (first.meta.cache_hit, second.meta.cache_hit) == (False, True)
    assert first.data[0].ranking_score == 1.0


async def test_the_chart_outlives_clickhouse(
    settings: Settings, catalogue: Catalogue, bearer: Token, clickhouse_proxy: Proxy
) -> None:
    broken = msgspec.structs.replace(settings, clickhouse_url=clickhouse_proxy.url)
    path = "/api/v1/reels/trending"
    async with serving(broken) as api:
        good = (await api.get(path, headers=bearer(new_id()))).json()
    clickhouse_proxy.cut()
    async with serving(broken) as api:
        kept = (await api.get(path, headers=bearer(new_id()))).json()
        assert kept["data"] == good["data"]
        assert (kept["meta"]["degraded"], kept["meta"]["cache_hit"]) == ("none", True)
    age_charts(settings, "reels", FRESH_SECONDS)
    async with serving(broken) as api:
        stale = (await api.get(path, headers=bearer(new_id()))).json()
        assert (await api.get(path, params={"window": "7d"}, headers=bearer(1))).status_code == 503
    assert stale["data"] == good["data"]
    assert (stale["meta"]["degraded"], stale["meta"]["fallback"]) == ("stale", True)


async def test_concurrent_misses_are_one_query(
    settings: Settings, catalogue: Catalogue, bearer: Token, clickhouse_proxy: Proxy
) -> None:
    """In one process by a shared future, between two by a lock in Redis."""
    watched = msgspec.structs.replace(settings, clickhouse_url=clickhouse_proxy.url)
    headers = bearer(new_id())
    async with serving(watched) as one, serving(watched) as two:
        # Connect both, so that rankings are all there is to wait for.
        await page(one, bearer(new_id()))
        await page(two, bearer(new_id()))
        clickhouse_proxy.wanted = b"feed__reels"
        clickhouse_proxy.slow(0.3)
        before = clickhouse_proxy.requests
        pages = await asyncio.gather(*(page(api, headers) for api in (one, two) * 10))
        asked = clickhouse_proxy.requests - before
    assert len({str(body["data"]) for body in pages}) == 1
    assert {body["meta"]["as_of"] for body in pages} == {pages[0]["meta"]["as_of"]}
    assert asked == 1


async def test_a_release_makes_first_pages_new_and_leaves_cursors_alone(
    settings: Settings, api: Api, bearer: Token, catalogue: Catalogue
) -> None:
    headers = bearer(new_id())
    first = await page(api, headers)
    assert (await page(api, headers))["meta"]["cache_hit"]

    catalogue.client.command(
        "insert into nova.ranking_releases (released_at, invocation_id) "
        "select now64(3), toString(generateUUIDv4())"
    )
    await asyncio.sleep(POLL_SECONDS + 1)
    newer = await page(api, headers)
    assert newer["meta"]["as_of"] > first["meta"]["as_of"]
    assert not newer["meta"]["cache_hit"]

    following = await page(api, headers, cursor=first["next_cursor"])
    assert following["meta"]["as_of"] == first["meta"]["as_of"]
    assert following["meta"]["cache_hit"]
    assert not set(ids_of(first)) & set(ids_of(following))


async def test_an_old_snapshot_is_not_a_first_page(
    settings: Settings, catalogue: Catalogue, bearer: Token
) -> None:
    headers = bearer(new_id())
    short = msgspec.structs.replace(settings, snapshot_fresh_seconds=1)
    async with serving(short) as api:
        first = await page(api, headers)
        await asyncio.sleep(1.1)
        second = await page(api, headers)
    assert not second["meta"]["cache_hit"]
    assert second["meta"]["as_of"] > first["meta"]["as_of"]


# ---------- counters of now


class Audience:
    """People who act: in Postgres, then in Redis, as every write does."""

    def __init__(self, postgres: psycopg.AsyncConnection[Any], counters: CounterStore) -> None:
        self.postgres = postgres
        self.counters = counters

    async def act(self, video: int, likes: int, *, is_told: bool = True) -> dict[str, int]:
        """Give a video this many likes; returns its counters as a page names them."""
        await self.postgres.execute(
            "insert into app.users (id) values (1) on conflict do nothing", prepare=True
        )
        await self.postgres.execute(
            "insert into app.videos (id, creator_id) values (%s, 1) on conflict do nothing", [video]
        )
        cursor = await self.postgres.execute(
            """
            insert into app.video_engagement (video_id, views, likes, shares, comments)
            values (%(video)s, 9000, %(likes)s, 30, 2)
            on conflict (video_id) do update set likes = excluded.likes
            returning _version
            """,
            {"video": video, "likes": likes},
        )
        row = await cursor.fetchone()
        assert row is not None
        if is_told:
            await self.counters.keep([ItemCounts("video", video, row[0], 9_000, likes, 30, 2)])
        return {"view_count": 9_000, "like_count": likes, "share_count": 30, "comment_count": 2}


@pytest.fixture
async def audience(settings: Settings) -> AsyncIterator[Audience]:
    """Somebody else's writes, through a process of their own."""
    stores = Stores(settings)
    await stores.postgres.open()
    async with await psycopg.AsyncConnection.connect(
        settings.postgres_url, autocommit=True, row_factory=tuple_row
    ) as postgres:
        yield Audience(postgres, CounterStore(stores.redis, stores.postgres, settings))
    await stores.close()


def counters_of(item: dict[str, Any]) -> dict[str, int]:
    return {name: item[name] for name in COUNTERS}


def without_counters(item: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in item.items() if name not in COUNTERS}


async def test_a_page_shows_the_counters_of_now(
    api: Api, bearer: Token, audience: Audience
) -> None:
    """On a ranking, on its snapshot, behind a cursor; and what is ranked by stays as it was."""
    headers = bearer(new_id())
    ranked = (await page(api, headers, limit=10))["data"]
    first, last = ranked[0], ranked[9]
    for likes in (5, 6, 4):
        wanted = [await audience.act(int(item["id"]), likes) for item in (first, last)]
        kept = await page(api, headers, limit=10)
        assert kept["meta"]["cache_hit"]
        assert [counters_of(kept["data"][place]) for place in (0, 9)] == wanted
        assert list(map(without_counters, kept["data"])) == list(map(without_counters, ranked))
        assert kept["data"][1:9] == ranked[1:9]

        head = await page(api, headers, limit=1)
        behind = await page(api, headers, limit=9, cursor=head["next_cursor"])
        assert counters_of(behind["data"][-1]) == wanted[1]

    anew = await page(api, bearer(new_id()), limit=10)
    assert not anew["meta"]["cache_hit"]
    [shown] = [item for item in anew["data"] if item["id"] == first["id"]]
    assert counters_of(shown)["like_count"] == 4


async def test_everyone_sees_it_on_every_list(
    settings: Settings, api: Api, bearer: Token, catalogue: Catalogue, audience: Audience
) -> None:
    """Another viewer, another process, the charts, and what is new since a cursor."""
    reader, other = bearer(new_id()), bearer(new_id())
    trending = (await page(api, reader, algo="trending", limit=3))["data"][2]
    path = "/api/v1/reels/trending"
    assert (await api.get(path, headers=reader)).status_code == 200
    wanted = await audience.act(int(trending["id"]), 12_345)

    async with serving(settings) as elsewhere:
        for served in (api, elsewhere):
            for headers in (reader, other):
                shown = (await page(served, headers, algo="trending", limit=3))["data"][2]
                assert (shown["id"], counters_of(shown)) == (trending["id"], wanted)
                chart = (await served.get(path, headers=headers)).json()["data"]
                [charted] = [item for item in chart if item["id"] == trending["id"]]
                assert counters_of(charted) == wanted

    cursor = (await page(api, reader, limit=1))["next_cursor"]
    [new] = catalogue.videos(1, age=timedelta(seconds=1))
    catalogue.plays({new: 1.0}, views=1_000_000)
    catalogue.refresh()
    wanted = await audience.act(new, 77)
    news = (await page(api, reader, since=cursor, limit=50))["data"]
    assert [counters_of(item) for item in news if item["id"] == str(new)] == [wanted]


async def test_a_like_is_on_the_very_next_page_of_everyone(
    settings: Settings, api: Api, bearer: Token, audience: Audience
) -> None:
    viewer, other = bearer(new_id()), bearer(new_id())
    first = (await page(api, other, limit=1))["data"][0]
    await audience.act(int(first["id"]), 0)
    path = f"/api/v1/reels/{first['id']}/like"
    async with serving(settings) as elsewhere:
        for method, likes in (("POST", 1), ("POST", 1), ("DELETE", 0), ("POST", 1)):
            answer = await api.request(method, path, headers=viewer)
            assert answer.json()["like_count"] == likes
            for served in (api, elsewhere):
                shown = (await page(served, other, limit=1))["data"][0]
                assert (shown["id"], shown["like_count"]) == (first["id"], likes)
            own = (await page(api, viewer, limit=50))["data"]
            assert [it["like_count"] for it in own if it["id"] == first["id"]] == [likes]


async def test_when_redis_forgets_postgres_tells(
    settings: Settings, api: Api, bearer: Token, audience: Audience
) -> None:
    headers = bearer(new_id())
    first = (await page(api, headers, limit=1))["data"][0]
    video = int(first["id"])
    await audience.act(video, 5)
    with redis.Redis.from_url(settings.redis_url) as client:
        for likes in (6, 7):
            wanted = await audience.act(video, likes, is_told=likes % 2 == 0)
            client.flushall()
            walked = await page(api, headers, limit=1)
            assert (walked["data"][0]["id"], counters_of(walked["data"][0])) == (str(video), wanted)
            again = await page(api, headers, limit=1)
            assert again["meta"]["cache_hit"]
            assert counters_of(again["data"][0]) == wanted
        assert len(client.keys(f"{PREFIX}*")) == 1


async def test_without_redis_a_ranking_has_the_counters_of_postgres(
    settings: Settings, catalogue: Catalogue, bearer: Token, audience: Audience, redis_proxy: Proxy
) -> None:
    cut = msgspec.structs.replace(settings, redis_url=redis_proxy.url)
    async with serving(cut) as api:
        headers = bearer(new_id())
        ranked = (await page(api, headers, limit=1))["data"][0]
        wanted = await audience.act(int(ranked["id"]), 5, is_told=False)
        redis_proxy.cut()
        body = await page(api, headers, limit=1)
        assert body["meta"]["degraded"] == "no_cache"
        assert body["data"] == [ranked | wanted]
        chart = (await api.get("/api/v1/reels/trending", headers=headers)).json()
        assert len(chart["data"]) == 100


async def test_a_postgres_that_is_away_costs_a_page_nothing_but_counters(
    settings: Settings, catalogue: Catalogue, bearer: Token
) -> None:
    nowhere = msgspec.structs.replace(
        settings, postgres_url="postgresql://nobody@127.0.0.1:1/x", counters_timeout_ms=100
    )
    async with serving(nowhere) as api:
        for _ in range(5):
            body = await page(api, bearer(new_id()))
            assert len(body["data"]) == 40
            assert body["meta"]["degraded"] == "none"
