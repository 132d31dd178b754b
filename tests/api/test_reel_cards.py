"""Cards of reels: from Postgres, from ClickHouse while that is away, and without either."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import msgspec
import psycopg
import pytest
import redis

from api.counters.counts import PREFIX
from api.reels.cards import ReelCards
from api.reels.ranking import WITH_CARDS
from api.settings import Settings
from api.stack.ports import free_port
from api.stores import ClickHouse, Postgres
from tests.api.conftest import Catalogue, Token, ids_of, new_id, page, serving, walk
from tests.api.proxy import Proxy


@pytest.fixture
async def postgres_proxy(settings: Settings) -> AsyncIterator[Proxy]:
    """A line to Postgres that can be cut."""
    async with Proxy(settings.postgres_url, free_port()) as proxy:
        yield proxy


def engage(settings: Settings, catalogue: Catalogue, video: int) -> None:
    """Give a video counters in both stores, as change capture would."""
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


def uncounted(reels: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Reels without counts: ClickHouse has those of other tests, Postgres is this one's alone."""
    return [
        {
            field: value
            for field, value in reel.items()
            if not field.endswith("_count") and field != "completion_rate"
        }
        for reel in reels
    ]


async def test_both_stores_have_the_same_cards(settings: Settings, catalogue: Catalogue) -> None:
    engaged, untouched = catalogue.videos(2, age=timedelta(days=1, microseconds=999_999))
    engage(settings, catalogue, engaged)
    postgres, clickhouse = Postgres(settings), ClickHouse(settings)
    nobody = Postgres(msgspec.structs.replace(settings, postgres_url="postgresql://x@127.0.0.1:1/"))
    cards = ReelCards(postgres, clickhouse, settings)
    others = ReelCards(nobody, clickhouse, settings)
    asked = [engaged, new_id(), untouched, engaged]
    try:
        await postgres.open()
        await nobody.open()
        known, are_counted = await cards.of(asked)
        assert are_counted
        assert await others.of(asked) == (known, False)
        assert set(known) == {engaged, untouched}
        assert known[engaged]["completion_rate"] == 5 / 9
        assert known[untouched]["view_count"] == 0
        assert msgspec.json.encode(known[engaged]["created_at"]).endswith(b'Z"')
    finally:
        await cards.close()
        await others.close()
        for store in (postgres, nobody, clickhouse):
            await store.close()


async def test_a_video_that_is_gone_by_now_is_on_no_page(
    settings: Settings, catalogue: Catalogue, bearer: Token
) -> None:
    """Not on one that is ranked, nor on one of an earlier ranking that had no cards yet."""
    async with serving(settings) as api:
        viewer, cursors = bearer(new_id()), []
        shown, cursor = await walk(api, viewer, limit=50, pages=2)
        cursors.append(cursor)
        rest, _ = await walk(api, viewer, limit=50, pages=1, cursor=cursor)
        assert len(rest) == 50 and len(shown) > WITH_CARDS
        gone = [shown[0], rest[7]]
        with psycopg.connect(settings.postgres_url) as postgres:
            postgres.execute("update app.videos set deleted = true where id = any(%s)", [gone])
        again, _ = await walk(api, viewer, limit=50, pages=1, cursor=cursor)
        assert again == [video for video in rest if video not in gone]
        anew = await page(api, bearer(new_id()), limit=50)
        assert ids_of(anew) == [video for video in shown if video not in gone][:50]


async def test_pages_below_the_first_have_cards_as_long_as_a_store_has(
    settings: Settings,
    catalogue: Catalogue,
    bearer: Token,
    postgres_proxy: Proxy,
    clickhouse_proxy: Proxy,
) -> None:
    lines = msgspec.structs.replace(
        settings,
        postgres_url=postgres_proxy.url,
        clickhouse_url=clickhouse_proxy.url,
        counters_timeout_ms=100,
    )
    async with serving(lines) as api:
        viewer = bearer(new_id())
        first = await page(api, viewer, limit=50)
        second = await page(api, viewer, limit=50, cursor=first["next_cursor"])
        third = await page(api, viewer, limit=50, cursor=second["next_cursor"])
        postgres_proxy.cut()
        again = await page(api, viewer, limit=50, cursor=second["next_cursor"])
        assert uncounted(again["data"]) == uncounted(third["data"])
        clickhouse_proxy.cut()
        answer = await api.get(
            "/api/v1/reels", headers=viewer, params={"cursor": second["next_cursor"], "limit": 50}
        )
        assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
        assert (await page(api, viewer, limit=50))["data"] == first["data"]


async def test_who_was_just_ranked_needs_no_counters_and_who_has_a_snapshot_does(
    settings: Settings, bearer: Token
) -> None:
    async with serving(settings) as api:
        viewer = bearer(new_id())
        with redis.Redis.from_url(settings.redis_url) as client:
            first = await page(api, viewer, limit=30)
            assert client.keys(f"{PREFIX}*") == []
            kept = await page(api, viewer, limit=30)
            assert kept["meta"]["cache_hit"]
            assert len(client.keys(f"{PREFIX}*")) == len(first["data"]) == 30
            assert kept["data"] == first["data"]
