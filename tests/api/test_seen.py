"""The seen filter: nothing watched comes back, and little else is lost."""

from __future__ import annotations

import random
from typing import Any

import pytest
import redis.asyncio

from api.snapshots import seen


@pytest.fixture
async def client(redis_url: str) -> Any:
    client = redis.asyncio.Redis.from_url(redis_url)
    yield client
    await client.aclose()


async def read(client: Any, viewer_id: int) -> seen.Seen:
    return seen.Seen(*(bitmap or b"" for bitmap in await client.mget(*seen.keys(viewer_id))))


async def test_false_positives_stay_below_one_percent(client: Any) -> None:
    dice = random.Random(3)
    watched = [dice.getrandbits(63) for _ in range(3_000)]
    await seen.add(client, 1, watched)
    filtered = await read(client, 1)
    assert all(item in filtered for item in watched)
    others = [dice.getrandbits(63) for _ in range(20_000)]
    assert sum(item in filtered for item in others) / len(others) < 0.01
    assert await client.strlen(seen.keys(1)[0]) <= seen.BITS // 8


async def test_ids_in_a_row_are_spread_like_any_others(client: Any) -> None:
    await seen.add(client, 1, range(3_000))
    filtered = await read(client, 1)
    assert sum(item in filtered for item in range(3_000, 23_000)) / 20_000 < 0.01


async def test_yesterday_counts_and_everything_expires(client: Any) -> None:
    await seen.add(client, 1, [7])
    today, yesterday = seen.keys(1)
    assert 86_400 < await client.ttl(today) <= seen.KEPT_SECONDS
    await client.rename(today, yesterday)
    filtered = await read(client, 1)
    assert 7 in filtered
    assert 8 not in filtered
    assert 7 not in await read(client, 2)
