"""Walks: every item once, whatever moves, is watched, or is lost meanwhile."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta
from typing import Any

import msgspec
import redis

from api.cursor import Surface
from api.settings import Settings
from api.snapshots.snapshot import Snapshot, SnapshotKey
from api.snapshots.store import Owner
from api.snapshots.touches import Touch
from tests.api.conftest import (
    Api,
    Catalogue,
    Token,
    ids_of,
    new_id,
    page,
    serving,
    walk,
)
from tests.api.feeds import touching
from tests.api.proxy import Proxy


def snapshot_of(settings: Settings, viewer_id: int) -> Snapshot:
    """The viewer's current snapshot, straight from Redis."""
    owner = Owner(Surface.REELS, viewer_id)
    with redis.Redis.from_url(settings.redis_url) as client:
        head: Any = client.hget(owner.head("default"), "session")
        key = SnapshotKey(bytes.fromhex(head.decode()), 0)
        fields: Any = client.hgetall(owner.snapshot(key))
    return Snapshot.unpack(key, fields)


def flush(settings: Settings) -> None:
    """Lose everything Redis holds."""
    with redis.Redis.from_url(settings.redis_url) as client:
        client.flushall()


async def test_every_item_once_while_rankings_move(
    settings: Settings, api: Api, bearer: Token, catalogue: Catalogue
) -> None:
    viewer = new_id()
    public = catalogue.public_ids()
    dice = random.Random(7)

    def move(number: int) -> None:
        if number % 4 == 0:
            hot = dice.sample(sorted(public), 200)
            catalogue.plays({video: dice.random() for video in hot}, views=5_000)
            catalogue.refresh()

    first = await page(api, bearer(viewer), limit=50)
    ranked = snapshot_of(settings, viewer).ids
    rest, cursor = await walk(api, bearer(viewer), cursor=first["next_cursor"], between=move)
    shown = ids_of(first) + rest

    assert cursor is None
    assert len(shown) > 1_000
    assert len(shown) == len(set(shown))
    assert shown[: len(ranked)] == ranked
    assert set(shown) >= public


async def test_two_devices_walk_the_same_ranking(api: Api, bearer: Token) -> None:
    headers = bearer(new_id())
    one, _ = await walk(api, headers, limit=50, pages=8)
    other, _ = await walk(api, headers, limit=40, pages=10)
    assert one == other


async def test_a_cursor_asked_twice_answers_the_same(api: Api, bearer: Token) -> None:
    """Also the one whose page goes on into the next ranking."""
    headers = bearer(new_id())
    cursor: str | None = None
    for _ in range(8):
        parameters = {"limit": 37} | ({"cursor": cursor} if cursor else {})
        asked, again = [await page(api, headers, **parameters) for _ in range(2)]
        assert asked["data"] == again["data"]
        cursor = again["next_cursor"]


async def test_what_was_watched_meanwhile_is_left_out(
    settings: Settings, api: Api, bearer: Token
) -> None:
    viewer = new_id()
    first = await page(api, bearer(viewer), limit=10)
    ranked = snapshot_of(settings, viewer).ids
    watched = ranked[10:30:2]
    async with touching(settings) as touches:
        await touches.note(Touch(viewer_id=viewer, seen_videos=watched))

    second = await page(api, bearer(viewer), limit=10, cursor=first["next_cursor"])
    assert ids_of(second) == [item for item in ranked[10:30] if item not in watched]
    again = await page(api, bearer(viewer), limit=50)
    assert not set(ids_of(again)) & set(watched)


async def test_redis_flushed_in_the_middle_of_a_calm_walk(
    settings: Settings, api: Api, bearer: Token, catalogue: Catalogue
) -> None:
    """The rankings are made again, are the same, and go on at the same place."""
    viewer = new_id()
    shown, cursor = await walk(api, bearer(viewer), limit=50, pages=3)
    ranked = snapshot_of(settings, viewer).ids
    flush(settings)
    rest, _ = await walk(api, bearer(viewer), cursor=cursor, limit=50)
    shown += rest
    assert len(shown) == len(set(shown))
    assert shown[: len(ranked)] == ranked
    assert set(shown) >= catalogue.public_ids()


async def test_redis_flushed_while_rankings_move(
    settings: Settings, api: Api, bearer: Token, catalogue: Catalogue
) -> None:
    """
    The walk goes on below the lowest it has shown.

    A creator with thirty of the best videos has two places of ten, so the walk can stop at a video
    better than others it has shown: "below the last" would repeat them. Then newcomers push all of
    them down, so that the same place in the ranking made again would repeat them, too.
    """
    crowd = catalogue.videos(30, creators=1, age=timedelta(minutes=5))
    catalogue.plays({video: 1 - n / 100 for n, video in enumerate(crowd)}, views=3_000_000)
    catalogue.refresh()
    viewer = new_id()
    await page(api, bearer(viewer))
    ranked = snapshot_of(settings, viewer)
    keys = [item.key for item in ranked.items]
    stop = next(place for place in range(15, 51) if min(keys[:place]) < keys[place - 1])
    shown, cursor = await walk(api, bearer(viewer), limit=stop, pages=1)
    assert shown == ranked.ids[:stop]

    catalogue.plays(dict.fromkeys(ranked.ids[100:160], 1.0), views=5_000_000)
    catalogue.refresh()
    flush(settings)
    rest, _ = await walk(api, bearer(viewer), cursor=cursor, limit=50)
    assert rest
    assert len(shown + rest) == len(set(shown + rest))


async def test_a_walk_without_redis(
    settings: Settings, catalogue: Catalogue, bearer: Token, redis_proxy: Proxy
) -> None:
    """Slower, and the level says so; but still every item once, ties included."""
    redis_proxy.cut()
    alone = msgspec.structs.replace(settings, redis_url=redis_proxy.url)
    headers = bearer(new_id())
    async with serving(alone) as api:
        body = await page(api, headers)
        assert body["meta"]["degraded"] == "no_cache"
        assert not body["meta"]["cache_hit"]
        shown, _ = await walk(api, headers, limit=50, pages=12)
    assert len(shown) == 600
    assert len(shown) == len(set(shown))


async def test_redis_lost_and_back_within_a_walk(
    settings: Settings, catalogue: Catalogue, bearer: Token, redis_proxy: Proxy
) -> None:
    line = msgspec.structs.replace(settings, redis_url=redis_proxy.url)
    headers = bearer(new_id())
    async with serving(line) as api:
        shown, cursor = await walk(api, headers, limit=30, pages=2)
        redis_proxy.cut()
        more, cursor = await walk(api, headers, limit=30, pages=2, cursor=cursor)
        redis_proxy.mend()
        last, _ = await walk(api, headers, limit=30, pages=8, cursor=cursor)
    assert len(shown + more + last) == 360 == len(set(shown + more + last))


async def test_every_page_of_a_stale_walk_says_so(
    settings: Settings, catalogue: Catalogue, bearer: Token, clickhouse_proxy: Proxy
) -> None:
    """However ClickHouse is by then; and only of that walk, as far as the old ranking goes."""
    line = msgspec.structs.replace(
        settings, clickhouse_url=clickhouse_proxy.url, snapshot_fresh_seconds=1
    )
    headers = bearer(new_id())
    async with serving(line) as api:
        good = await page(api, headers, limit=50)
        await asyncio.sleep(1.1)
        clickhouse_proxy.cut()
        stale = await page(api, headers, limit=50)
        assert stale["meta"]["degraded"] == "stale"
        second = await page(api, headers, limit=50, cursor=stale["next_cursor"])
        assert (second["meta"]["degraded"], second["meta"]["fallback"]) == ("stale", True)
        other = await page(api, headers, limit=50, cursor=good["next_cursor"])
        assert other["data"] == second["data"]
        assert other["meta"]["degraded"] == "none"
        clickhouse_proxy.mend()
        levels, cursor = [], second["next_cursor"]
        pages_left = -(-stale["meta"]["total_count"] // 50) - 2
        for _ in range(pages_left + 1):
            body = await page(api, headers, limit=50, cursor=cursor)
            levels.append(body["meta"]["degraded"])
            cursor = body["next_cursor"]
    assert pages_left > 0
    assert levels == ["stale"] * pages_left + ["none"]


async def test_the_last_page(api: Api, bearer: Token, catalogue: Catalogue) -> None:
    """Just below the end: a full page with more, then the rest, then no cursor."""
    headers = bearer(new_id())
    total = len((await walk(api, headers, limit=50))[0])
    shown: list[int] = []
    cursor: str | None = None
    sizes = []
    while True:
        body = await page(api, headers, limit=49, **({"cursor": cursor} if cursor else {}))
        sizes.append(len(body["data"]))
        shown += ids_of(body)
        cursor = body["next_cursor"]
        if not body["has_more"]:
            break
    assert cursor is None
    assert len(shown) == len(set(shown)) == total
    assert sizes[:-1] == [49] * (total // 49) or (total % 49 == 0 and sizes == [49] * (total // 49))


async def test_a_walk_has_a_bound(settings: Settings, catalogue: Catalogue, bearer: Token) -> None:
    bounded = msgspec.structs.replace(settings, max_session_items=500)
    async with serving(bounded) as api:
        shown, cursor = await walk(api, bearer(new_id()), limit=50)
    assert cursor is None
    assert len(shown) == 500 == len(set(shown))


async def test_since_tells_what_is_new_and_moves_nothing(
    settings: Settings, api: Api, bearer: Token, catalogue: Catalogue
) -> None:
    headers = bearer(new_id())
    first = await page(api, headers, limit=10)
    nothing = await page(api, headers, since=first["next_cursor"])
    assert nothing["data"] == []
    assert not nothing["has_more"]

    new = catalogue.videos(3, creators=3, age=timedelta(seconds=5))
    catalogue.plays(dict.fromkeys(new, 1.0), views=2_000_000)
    catalogue.refresh()
    # A ranking of the last minute would do, were it not the very one the walk is in.
    flush_head(settings)
    news = await page(api, headers, since=first["next_cursor"], limit=2)
    assert set(ids_of(news)) <= set(new)
    assert len(news["data"]) == 2
    assert news["has_more"]
    assert news["next_cursor"] == first["next_cursor"]

    second = await page(api, headers, limit=10, cursor=first["next_cursor"])
    assert not set(ids_of(second)) & (set(ids_of(first)) | set(new))
    assert second["meta"]["as_of"] == first["meta"]["as_of"]


def flush_head(settings: Settings) -> None:
    """Make the next first page be ranked again, as a minute would."""
    with redis.Redis.from_url(settings.redis_url) as client:
        for key in client.scan_iter("feed:reels:v4:*:head:default"):
            client.delete(key)
