"""The posts feed without one store or several: what stands in, what says so, and the way back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from api.settings import Settings
from api.stack.ports import free_port
from api.stores import CLICKHOUSE_FAILURES_TO_OPEN
from tests.api.conftest import (
    POSTS,
    Api,
    Catalogue,
    Token,
    ids_of,
    page,
    problem_of,
    serving,
    walk,
)
from tests.api.posts import PostWorld, post_world, posts_settings
from tests.api.proxy import Proxy

FALLBACK = ("timeline", "timeline", True)


@pytest.fixture(scope="module")
def module_settings(
    shared_postgres_url: str, redis_server: Any, ranked_clickhouse_url: str
) -> Settings:
    """Settings of this module's services."""
    return posts_settings(shared_postgres_url, redis_server.url, ranked_clickhouse_url)


@pytest.fixture(scope="module")
def world(module_settings: Settings, catalogue: Catalogue) -> Iterator[PostWorld]:
    """Posts to rank."""
    with post_world(module_settings, catalogue) as world:
        yield world


@pytest.fixture
def settings(module_settings: Settings, redis_url: str) -> Settings:
    """The settings, with an empty Redis."""
    return module_settings


@pytest.fixture
async def postgres_proxy(settings: Settings) -> AsyncIterator[Proxy]:
    """A line to Postgres that can be cut."""
    async with Proxy(settings.postgres_url, free_port()) as proxy:
        yield proxy


@pytest.fixture
async def api(
    settings: Settings,
    world: PostWorld,
    clickhouse_proxy: Proxy,
    postgres_proxy: Proxy,
    redis_proxy: Proxy,
) -> AsyncIterator[Api]:
    """The service behind lines that can be cut; a snapshot is a first page for a second only."""
    lines = msgspec.structs.replace(
        settings,
        clickhouse_url=clickhouse_proxy.url,
        postgres_url=postgres_proxy.url,
        redis_url=redis_proxy.url,
        posts_fresh_seconds=1,
        landing_wait_ms=100,
        redis_timeout_ms=500,
    )
    async with serving(lines) as api:
        yield api


async def posts(api: Api, headers: dict[str, str], **parameters: Any) -> dict[str, Any]:
    """Ask for one page of posts."""
    return await page(api, headers, POSTS, **parameters)


def said(body: dict[str, Any]) -> tuple[str, str, bool]:
    """What a page says of how it came about."""
    meta = body["meta"]
    return meta["algo"], meta["degraded"], meta["fallback"]


async def ranked_again(api: Api, headers: dict[str, str]) -> dict[str, Any]:
    """Ask for first pages until one is ranked in ClickHouse; the timeline stands in till then."""
    for _ in range(100):
        body = await posts(api, headers)
        if body["meta"]["algo"] == "ch":
            return body
        assert said(body) == FALLBACK
        await asyncio.sleep(0.1)
    raise AssertionError("the ranking does not come back")


async def test_without_redis_the_ranking_is_served(
    api: Api, bearer: Token, world: PostWorld, redis_proxy: Proxy
) -> None:
    viewer = world.viewer()
    redis_proxy.cut()
    assert said(await posts(api, bearer(viewer))) == ("ch", "no_cache", False)
    asked = await posts(api, bearer(viewer), algo="timeline")
    assert said(asked) == ("timeline", "no_cache", False)


async def test_without_clickhouse_the_timeline_stands_in_to_the_end_of_the_walk(
    api: Api, bearer: Token, world: PostWorld, clickhouse_proxy: Proxy
) -> None:
    """The same rules, every post once; and its cursors are taken whatever the client calls it."""
    headers = bearer(world.viewer())
    clickhouse_proxy.cut()
    first = await posts(api, headers, algo="ch")
    assert said(first) == FALLBACK
    assert {item["score"] for item in first["data"]} == {None}
    asked = await posts(api, headers, algo="timeline")
    assert said(asked) == ("timeline", "none", False)
    assert asked["data"] == first["data"]

    shown, cursor = ids_of(first), first["next_cursor"]
    for algo in ("ch", "timeline"):
        body = await posts(api, headers, cursor=cursor, algo=algo)
        assert said(body) == FALLBACK
    while cursor:
        body = await posts(api, headers, cursor=cursor, limit=100)
        assert said(body) == FALLBACK
        shown += ids_of(body)
        cursor = body["next_cursor"]
    assert len(shown) == len(set(shown))
    assert set(shown) == set(world.author_of)


async def test_a_timeline_is_no_ranking_and_the_ranking_comes_back_by_itself(
    api: Api, bearer: Token, world: PostWorld, clickhouse_proxy: Proxy
) -> None:
    headers = bearer(world.viewer())
    good = await posts(api, headers)
    assert said(good) == ("ch", "none", False)
    await asyncio.sleep(1.1)
    clickhouse_proxy.cut()
    # The last ranking is there, and older than what Postgres knows.
    for _ in range(CLICKHOUSE_FAILURES_TO_OPEN):
        assert said(await posts(api, headers)) == FALLBACK

    clickhouse_proxy.mend()
    assert said(await posts(api, headers)) == FALLBACK  # it is left alone for a while
    body = await ranked_again(api, headers)
    assert said(body) == ("ch", "none", False)
    assert body["meta"]["as_of"] > good["meta"]["as_of"]


async def test_without_clickhouse_and_redis_the_timeline_is_walked_all_the_same(
    api: Api, bearer: Token, world: PostWorld, clickhouse_proxy: Proxy, redis_proxy: Proxy
) -> None:
    headers = bearer(world.viewer())
    clickhouse_proxy.cut()
    redis_proxy.cut()
    first = await posts(api, headers, limit=100)
    assert said(first) == FALLBACK
    shown, cursor = ids_of(first), first["next_cursor"]
    for _ in range(3):
        body = await posts(api, headers, limit=100, cursor=cursor)
        assert said(body) == FALLBACK
        shown += ids_of(body)
        cursor = body["next_cursor"]
    assert len(shown) == 400 == len(set(shown))


async def test_without_clickhouse_and_postgres_the_last_good_ranking_is_served(
    api: Api,
    bearer: Token,
    world: PostWorld,
    clickhouse_proxy: Proxy,
    postgres_proxy: Proxy,
    redis_proxy: Proxy,
) -> None:
    """The newest there is; who has none gets a 503, as everybody does when Redis goes, too."""
    ranked, timed, nobody = (bearer(world.viewer()) for _ in range(3))
    good = await posts(api, ranked)
    clickhouse_proxy.cut()
    stood_in = await posts(api, timed)
    await asyncio.sleep(1.1)
    postgres_proxy.cut()
    for headers, before, algo in ((ranked, good, "ch"), (timed, stood_in, "timeline")):
        stale = await posts(api, headers)
        assert said(stale) == (algo, "stale", True)
        assert stale["data"] == before["data"]
        more = await posts(api, headers, cursor=stale["next_cursor"])
        assert said(more) == (algo, "stale", True)
        assert set(ids_of(more)).isdisjoint(ids_of(stale))
    assert said(await posts(api, timed, algo="timeline")) == ("timeline", "stale", True)
    problem_of(await api.get(POSTS, headers=nobody), 503, "unavailable")
    redis_proxy.cut()
    for parameters in ({}, {"cursor": good["next_cursor"]}, {"since": good["next_cursor"]}):
        response = await api.get(POSTS, headers=ranked, params=parameters)
        problem_of(response, 503, "unavailable")
        assert response.headers["retry-after"]


async def test_a_walk_goes_on_in_the_timeline_and_back_in_the_ranking(
    api: Api, bearer: Token, world: PostWorld, clickhouse_proxy: Proxy
) -> None:
    """Without what it was shown in either; a page asked for twice is the same page."""
    headers = bearer(world.viewer(world.authors[20:]))
    first = await posts(api, headers, limit=100)
    total = first["meta"]["total_count"]
    assert 100 < total < 300
    clickhouse_proxy.cut()
    shown, cursor = ids_of(first), first["next_cursor"]
    levels = []
    while len(shown) < total + 100:
        body, again = [await posts(api, headers, limit=100, cursor=cursor) for _ in range(2)]
        assert again["data"] == body["data"]
        levels.append(said(body))
        shown += ids_of(body)
        cursor = body["next_cursor"]
    assert levels[0] in (("ch", "none", False), FALLBACK)
    assert levels[-1] == FALLBACK

    clickhouse_proxy.mend()
    await ranked_again(api, headers)
    rest, _ = await walk(api, headers, path=POSTS, cursor=cursor, limit=100)
    assert len(shown + rest) == len(set(shown + rest))
    assert set(shown + rest) >= set(world.author_of)


async def test_a_walk_whose_snapshot_is_lost_waits_for_its_own_ranking(
    api: Api, bearer: Token, world: PostWorld, clickhouse_proxy: Proxy, redis_proxy: Proxy
) -> None:
    """Nobody knows any more what it was shown: the timeline would show it again."""
    headers = bearer(world.viewer())
    cursor = (await posts(api, headers))["next_cursor"]
    clickhouse_proxy.cut()
    redis_proxy.cut()
    response = await api.get(POSTS, headers=headers, params={"cursor": cursor})
    problem_of(response, 503, "unavailable")


async def test_since_asks_the_timeline_while_clickhouse_is_away(
    api: Api, bearer: Token, world: PostWorld, clickhouse_proxy: Proxy
) -> None:
    headers = bearer(world.viewer())
    cursor = (await posts(api, headers, limit=20))["next_cursor"]
    clickhouse_proxy.cut()
    new = world.publish(world.authors[-1], timedelta(seconds=1))
    news = await posts(api, headers, since=cursor)
    assert said(news) == FALLBACK
    assert (ids_of(news)[0], news["next_cursor"]) == (new, cursor)


async def test_a_write_is_in_the_timeline_at_once(
    api: Api, bearer: Token, world: PostWorld, clickhouse_proxy: Proxy
) -> None:
    """Nothing has to land; and until the next write the timeline is kept, as a ranking is."""
    viewer = world.viewer()
    headers = bearer(viewer)
    clickhouse_proxy.cut()
    first = await posts(api, headers)
    author = world.author_of[ids_of(first)[0]]
    written = await api.post(
        "/api/v1/posts", headers=bearer(world.authors[-1]), json={"body": "news"}
    )
    new = int(written.json()["post_id"])
    try:
        anew = await posts(api, headers)
        assert (ids_of(anew)[0], anew["meta"]["cache_hit"]) == (new, False)
        assert (await posts(api, headers))["meta"]["cache_hit"]
    finally:
        gone = await api.delete(f"/api/v1/posts/{new}", headers=bearer(world.authors[-1]))
    assert gone.status_code == 204
    assert new not in ids_of(await posts(api, headers))

    await api.post(f"/api/v1/users/{author}/block", headers=headers)
    anew = await posts(api, headers, limit=100)
    assert author not in {int(item["author_id"]) for item in anew["data"]}
