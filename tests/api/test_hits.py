"""The short way of a hit says what the routes say, and leaves to them what it cannot say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import redis.asyncio

from api.counters.counts import ItemCounts, key_of, pack
from api.counters.near import NearCounters
from api.counters.store import CounterStore
from api.counters.tail import Tail
from api.hits import HitMiddleware
from api.redisline import NoReplyError, RedisLine
from api.reels.schemas import COUNTERS, Reel
from api.settings import Settings
from api.stores import Stores
from tests.api.conftest import Api, Token, new_id
from tests.api.proxy import Proxy

PATH = "/api/v1/reels"


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each request was answered on the short way."""
    answer, taken = HitMiddleware._answer, []

    async def noting(*arguments: Any) -> bool:
        taken.append(await answer(*arguments))
        return taken[-1]

    monkeypatch.setattr(HitMiddleware, "_answer", noting)
    return taken


async def test_both_ways_say_the_same(api: Api, bearer: Token, taken: list[bool]) -> None:
    headers = bearer(new_id())
    ranked = await api.get(PATH, headers=headers, params={"limit": 7})
    assert taken == [False]  # there was nothing yet
    cursor = ranked.json()["next_cursor"]
    for asked in ({"limit": "7"}, {}, {"cursor": cursor, "limit": "5"}):
        taken.clear()
        short = await api.get(PATH, headers=headers, params=asked)
        # What is said is the default, and no client of ours says it.
        routed = await api.get(PATH, headers=headers, params=asked | {"algo": "ch"})
        assert taken == [True, False]
        one, other = short.json(), routed.json()
        assert len(one["data"]) == int(asked.get("limit", 40))
        for body in (one, other):
            assert body["meta"].pop("response_time_ms") >= 0
        follow = [
            (
                await api.get(PATH, headers=headers, params={"cursor": body.pop("next_cursor")})
            ).json()
            for body in (one, other)
        ]
        assert one == other
        assert follow[0]["data"] == follow[1]["data"]
        assert {*short.headers} == {*routed.headers}
        left = [int(answer.headers["ratelimit-remaining"]) for answer in (short, routed)]
        assert left[0] - left[1] == 1  # each was charged once


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=51", "limit=1&limit=2", "cursor=x", "cursor=", "since=x", "algo=x"]
)
async def test_what_is_wrong_the_routes_say(
    api: Api, bearer: Token, taken: list[bool], query: str
) -> None:
    answer = await api.get(f"{PATH}?{query}", headers=bearer(new_id()))
    assert answer.status_code == (200 if query == "limit=1&limit=2" else 400)
    assert taken == [False]


@pytest.fixture
async def stores(settings: Settings) -> AsyncIterator[Stores]:
    stores = Stores(settings)
    yield stores
    await stores.close()


async def test_counters_that_are_kept_are_those_of_redis(stores: Stores) -> None:
    """After a write of somebody else's, after Redis forgot, and after the line was lost."""
    line, client = stores.redis.line, stores.redis.client
    counters = CounterStore(
        stores.redis, stores.postgres, Settings(jwt_secret="x" * 32, cursor_secret="x" * 32)
    )
    near = NearCounters(counters, "video", Tail(Reel, COUNTERS))
    await line.start()
    item = new_id()
    body = [(b'{"id":"%d","title":"x"' % item, b',"view_count":-1}')]

    async def likes_after(likes: int) -> int:
        value = pack(ItemCounts("video", item, 2**40 + likes, 9, likes, 1, 1))
        await client.set(key_of("video", item), value)
        shown: dict[str, int] = msgspec.json.decode((await near.live(body))[0])
        return shown["like_count"]

    for likes in range(5, 55):
        assert await likes_after(likes) == likes
    await client.flushall()
    assert await likes_after(1) == 1
    await client.client_kill_filter(_type="normal", skipme=True)
    assert await likes_after(2) == 2
    await answering(line)
    assert await likes_after(3) == 3
    assert await likes_after(4) == 4


async def answering(line: RedisLine) -> None:
    """Wait until the line has been opened again."""
    for _ in range(600):
        try:
            assert await line.ask("PING") == b"PONG"
            return
        except NoReplyError:
            await asyncio.sleep(0.05)
    raise AssertionError("nobody opens it again")


async def test_a_line_that_hangs_is_cut_and_opened_again(
    stores: Stores, redis_proxy: Proxy
) -> None:
    client = redis.asyncio.Redis.from_url(redis_proxy.url)
    line = RedisLine(client.connection_pool, 0.3)
    await line.start()
    try:
        assert await asyncio.gather(*(line.ask("ECHO", n) for n in range(50))) == [
            b"%d" % n for n in range(50)
        ]
        redis_proxy.slow(60)
        async with asyncio.timeout(30):
            hung = await asyncio.gather(
                *(line.ask("PING") for _ in range(3)), return_exceptions=True
            )
        assert all(isinstance(one, NoReplyError) for one in hung)
        redis_proxy.mend()
        await answering(line)
        with pytest.raises(NoReplyError):
            await line.ask("NO", "SUCH", "COMMAND")
        await answering(line)
    finally:
        await line.stop()
        await client.aclose()
