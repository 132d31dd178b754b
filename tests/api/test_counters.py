"""Live counters on real stores: what is kept, what is read, and how they get onto an item."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import msgspec
import psycopg
import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from api.counters.counts import PREFIX, ItemCounts, ItemType, item_of, key_of, pack, unpack
from api.counters.store import REBUILDS_AT_ONCE, CounterStore
from api.counters.tail import Tail
from api.reels.reader import live_reels
from api.reels.schemas import COUNTERS, Reel
from api.settings import Settings
from api.stack.ports import free_port
from api.stores import Postgres, Stores
from tests.api.conftest import Api, Token, serving
from tests.conftest import settings_on

VIDEO = 2**53 + 1
ITEMS = range(VIDEO, VIDEO + 60)


@pytest.fixture
def settings(postgres_url: str, redis_url: str) -> Settings:
    """No ClickHouse: nothing here reads it; and no impatience on a busy machine."""
    return settings_on(
        postgres_url=postgres_url,
        redis_url=redis_url,
        redis_timeout_ms=5_000,
        counters_timeout_ms=10_000,
    )


@asynccontextmanager
async def counting(settings: Settings, **changes: Any) -> AsyncIterator[CounterStore]:
    """Counters of one process."""
    settings = msgspec.structs.replace(settings, **changes)
    stores = Stores(settings)
    await stores.postgres.open()
    counters = CounterStore(stores.redis, stores.postgres, settings)
    try:
        yield counters
    finally:
        await counters.close()
        await stores.close()


@pytest.fixture
async def counters(settings: Settings) -> AsyncIterator[CounterStore]:
    async with counting(settings) as counters:
        yield counters


@pytest.fixture
def client(settings: Settings) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(settings.redis_url) as client:
        yield client


@pytest.fixture
def postgres(settings: Settings) -> Iterator[psycopg.Connection[Any]]:
    """Some videos and posts with the same ids."""
    with psycopg.connect(settings.postgres_url, autocommit=True) as connection:
        connection.execute("insert into app.users (id) values (1)")
        for item in ITEMS:
            connection.execute("insert into app.videos (id, creator_id) values (%s, 1)", [item])
            connection.execute(
                "insert into app.posts (id, author_id, body) values (%s, 1, 'hello')", [item]
            )
        yield connection


def write(
    postgres: psycopg.Connection[Any], likes: int, item: int = VIDEO, of_type: ItemType = "video"
) -> ItemCounts:
    """Change the likes of an item in Postgres, and tell nobody."""
    row = postgres.execute(
        f"""
        insert into app.{of_type}_engagement ({of_type}_id, likes) values (%s, %s)
        on conflict ({of_type}_id) do update set likes = excluded.likes
        returning _version
        """,
        [item, likes],
    ).fetchone()
    assert row is not None
    return ItemCounts(of_type, item, row[0], likes=likes)


def at(version: int, item: int = VIDEO) -> ItemCounts:
    """Counters that tell which version they are of."""
    return ItemCounts("video", item, version, likes=version % 1_000_003)


# ---------- kept


async def test_messages_in_any_order_end_at_the_newest(
    settings: Settings, client: redis.Redis
) -> None:
    """Some through one process and some through another, many at once, some twice."""
    chance = random.Random(20_261_121)
    newest = {item: 1 + n * 7 for n, item in enumerate(ITEMS)}
    messages = [
        at(version, item) for item, last in newest.items() for version in range(1, last + 1)
    ]
    messages += chance.sample(messages, 500)
    chance.shuffle(messages)
    batches = [messages[start : start + 100] for start in range(0, len(messages), 100)]
    async with counting(settings) as one, counting(settings) as two:
        await asyncio.gather(*(chance.choice([one, two]).keep(batch) for batch in batches))
        kept = await one.read("video", ITEMS)
    assert kept == {item: at(version, item) for item, version in newest.items()}
    assert client.ttl(key_of("video", VIDEO)) > settings.stale_ttl_seconds


@pytest.mark.parametrize("large", [2**32 - 1, 2**32, 2**53, 2**63 - 2])
async def test_versions_are_compared_to_the_last_digit(counters: CounterStore, large: int) -> None:
    """As doubles, 2^53 and 2^53 + 1 are one number."""
    for version in (large, large + 1, large):
        await counters.keep([at(version)])
    assert await counters.read("video", [VIDEO]) == {VIDEO: at(large + 1)}


async def test_a_batch_of_any_size_is_kept(counters: CounterStore, client: redis.Redis) -> None:
    await counters.keep([])
    await counters.keep([at(1, item) for item in range(1, 1_000)])
    assert client.dbsize() == 999


def test_what_is_packed_comes_back_in_few_bytes() -> None:
    counts = ItemCounts("post", 2**63 - 1, 2**63 - 1, 1, 2, 3, 4, 5, 2**63 - 1)
    assert unpack("post", 2**63 - 1, pack(counts)) == counts
    assert item_of(key_of("post", 2**63 - 1).encode()) == ("post", 2**63 - 1)
    assert len(pack(ItemCounts("video", VIDEO, 10**9, 1_000, 100, 10, 1))) < 24


async def test_many_who_like_and_unlike_leave_one_number_everywhere(
    settings: Settings, postgres: psycopg.Connection[Any], client: redis.Redis, bearer: Token
) -> None:
    """In the table, in the counter and in Redis, whatever the order in which the news arrived."""
    settings = msgspec.structs.replace(settings, rate_limit_per_minute=100_000, log_level="error")
    chance = random.Random(20_261_121)
    path = f"/api/v1/reels/{VIDEO}/like"

    async def act(api: Api, viewer: int) -> None:
        for _ in range(20):
            answer = await api.request(
                chance.choice(["POST", "DELETE"]), path, headers=bearer(viewer)
            )
            assert answer.status_code == 200

    async with serving(settings) as one, serving(settings) as two:
        await asyncio.gather(*(act((one, two)[n % 2], 1_000 + n) for n in range(10)))
    row = postgres.execute(
        """
        select
            (select count(*) from app.likes where item_id = %(video)s and not deleted),
            (select likes from app.video_engagement where video_id = %(video)s)
        """,
        {"video": VIDEO},
    ).fetchone()
    value = client.get(key_of("video", VIDEO))
    assert row is not None and value is not None
    assert row[0] == row[1] == unpack("video", VIDEO, value).likes


# ---------- read


async def test_what_redis_has_not_comes_from_postgres_and_stays(
    counters: CounterStore, postgres: psycopg.Connection[Any], client: redis.Redis
) -> None:
    liked = write(postgres, 3)
    found = await counters.read("video", [VIDEO, VIDEO + 1])
    assert found == {VIDEO: liked, VIDEO + 1: ItemCounts("video", VIDEO + 1, 0)}
    # Also the zeros: nothing is asked again.
    assert client.exists(key_of("video", VIDEO), key_of("video", VIDEO + 1)) == 2
    write(postgres, 4)
    assert await counters.read("video", [VIDEO, VIDEO + 1]) == found


async def test_a_video_and_a_post_with_one_id_do_not_mix(
    counters: CounterStore, postgres: psycopg.Connection[Any]
) -> None:
    video, post = write(postgres, 3), write(postgres, 30, of_type="post")
    for _ in ("from Postgres", "from Redis"):
        assert await counters.read("video", [VIDEO]) == {VIDEO: video}
        assert await counters.read("post", [VIDEO]) == {VIDEO: post}


async def test_an_emptied_redis_is_rebuilt_while_writes_go_on(
    counters: CounterStore, postgres: psycopg.Connection[Any], client: redis.Redis
) -> None:
    """What a page shows is of now, whichever comes first."""
    for likes in range(1, 9):
        told = [write(postgres, likes, item) for item in ITEMS]
        if likes % 2:
            await counters.keep(told[::2])
            client.flushall()
        else:
            client.flushall()
            await counters.keep(told[::2])
        found = await counters.read("video", ITEMS)
        assert {item: counts.likes for item, counts in found.items()} == dict.fromkeys(ITEMS, likes)


class Hesitant(Postgres):
    """Lets something happen between a read and its answer."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.has_read, self.may_answer = asyncio.Event(), asyncio.Event()

    async def rows(self, query: str, parameters: Any) -> Any:
        answer = await super().rows(query, parameters)
        self.has_read.set()
        await self.may_answer.wait()
        return answer


async def test_a_write_during_a_rebuild_wins(
    settings: Settings, counters: CounterStore, postgres: psycopg.Connection[Any]
) -> None:
    write(postgres, 1)
    slow = Hesitant(settings)
    await slow.open()
    stores = Stores(settings)
    late = CounterStore(stores.redis, slow, settings)
    reading = asyncio.create_task(late.read("video", [VIDEO]))
    await slow.has_read.wait()
    newer = write(postgres, 2)
    await counters.keep([newer])
    slow.may_answer.set()
    await reading
    assert await counters.read("video", [VIDEO]) == {VIDEO: newer}
    await slow.close()
    await stores.close()


# ---------- stores that are away


async def test_without_redis_nothing_is_known_and_nothing_raised(
    settings: Settings, postgres: psycopg.Connection[Any]
) -> None:
    write(postgres, 1)
    async with counting(settings, redis_url=f"redis://127.0.0.1:{free_port()}/0") as counters:
        await counters.keep([at(1)])
        assert await counters.read("video", [VIDEO]) == {}


async def test_without_postgres_redis_still_tells(settings: Settings) -> None:
    nowhere = f"postgresql://nobody@127.0.0.1:{free_port()}/x"
    async with counting(settings, postgres_url=nowhere, counters_timeout_ms=50) as counters:
        await counters.keep([at(5)])
        for _ in range(8):
            assert await counters.read("video", [VIDEO, VIDEO + 1]) == {VIDEO: at(5)}


async def test_a_postgres_that_hangs_is_asked_little_and_serves_the_next_page(
    settings: Settings, postgres: psycopg.Connection[Any], client: redis.Redis
) -> None:
    for item in ITEMS:
        write(postgres, 3, item)
    with psycopg.connect(settings.postgres_url) as blocking:
        blocking.execute("lock table app.video_engagement in access exclusive mode")
        async with counting(
            settings, counters_timeout_ms=100, postgres_timeout_ms=20_000
        ) as counters:
            pages = [counters.read("video", [item]) for item in ITEMS]
            assert await asyncio.gather(*pages) == [{}] * len(ITEMS)
            blocking.rollback()
    late = [client.get(key) for key in client.keys(f"{PREFIX}*")]
    assert 1 <= len(late) <= REBUILDS_AT_ONCE
    assert {unpack("video", VIDEO, value).likes for value in late} == {3}


# ---------- onto an item

TAIL = Tail(Reel, COUNTERS)

texts = st.text(max_size=30) | st.sampled_from(
    [
        '"view_count":1',
        ',"view_count":1,"like_count":2,"share_count":3,"comment_count":4}',
        '\\","view_count":7,"like_count":7,"share_count":7,"comment_count":7}',
        "⚡️ 目 \u2028 \x00",
        "{}",
    ]
)
numbers = st.integers(min_value=0, max_value=2**63 - 1)


@st.composite
def reels(draw: st.DrawFn) -> Reel:
    """Any reel that a ranking could hold."""
    return Reel(
        id=str(draw(numbers)),
        creator_id=str(draw(numbers)),
        title=draw(texts),
        duration_seconds=draw(st.floats(min_value=0, max_value=1e9)),
        completion_rate=draw(st.floats(min_value=0, max_value=1)),
        ranking_score=draw(st.floats(min_value=0, max_value=1)),
        source=draw(texts),
        created_at=datetime.now(UTC),
        thumbnail_url=draw(st.none() | texts),
        streaming_url=draw(texts),
        view_count=draw(numbers),
        like_count=draw(numbers),
        share_count=draw(numbers),
        comment_count=draw(numbers),
    )


@given(reel=reels(), totals=st.tuples(numbers, numbers, numbers, numbers))
def test_new_counters_change_nothing_else(reel: Reel, totals: tuple[int, int, int, int]) -> None:
    body = msgspec.json.encode(reel)
    assert TAIL.id_of(body) == int(reel.id)
    views, likes, shares, comments = totals
    now = ItemCounts("video", int(reel.id), 1, views, likes, shares, comments, 8, 9)
    wanted = msgspec.structs.replace(
        reel, view_count=views, like_count=likes, share_count=shares, comment_count=comments
    )
    assert TAIL.with_counts(body, now) == msgspec.json.encode(wanted)


class Text(Struct):
    """Another kind of item, with other names."""

    post_id: str
    body: str
    likes: int
    comments: int
    shares: int
    exposures: int
    dwell_ms_sum: int


def test_another_kind_of_item_has_its_own_counters() -> None:
    fields = {name: name for name in ("likes", "comments", "shares", "exposures")}
    tail = Tail(Text, fields | {"dwell_ms_sum": "dwell_ms"})
    body = msgspec.json.encode(Text(str(VIDEO), '"likes":5', 1, 2, 3, 4, 5))
    now = ItemCounts("post", VIDEO, 1, 1, 20, 40, 30, 50, 60)
    assert tail.id_of(body) == VIDEO
    assert msgspec.json.decode(tail.with_counts(body, now), type=Text) == Text(
        str(VIDEO), '"likes":5', 20, 30, 40, 50, 60
    )


@pytest.mark.parametrize("fields", [{}, {"likes": "likes"}, {"shares": "s", "comments": "c"}])
def test_an_item_must_end_with_its_counters(fields: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="must end with"):
        Tail(Text, fields)


def test_an_item_of_an_earlier_release_stays_as_it_is() -> None:
    """Snapshots live a day: after a release they hold what the one before made."""
    body = (
        b'{"id":"5","title":"x","view_count":1,"like_count":2,"share_count":3,"comment_count":4'
        b',"source":"trending"}'
    )
    assert TAIL.with_counts(body, at(1)) == body


async def test_items_nobody_acted_on_stay_as_they_are_ranked(
    counters: CounterStore, postgres: psycopg.Connection[Any]
) -> None:
    """Postgres knows nothing newer than the ranking; others get what it knows."""
    ranked = [
        Reel(
            id=str(item),
            creator_id="1",
            title="",
            duration_seconds=1,
            completion_rate=0.5,
            ranking_score=0.5,
            source="",
            created_at=datetime.now(UTC),
            thumbnail_url=None,
            streaming_url="",
            view_count=1,
            like_count=2,
            share_count=3,
            comment_count=4,
        )
        for item in (VIDEO, VIDEO + 1)
    ]
    write(postgres, 9)
    live = await live_reels(counters).live([msgspec.json.encode(reel) for reel in ranked])
    first = msgspec.structs.replace(
        ranked[0], view_count=0, like_count=9, share_count=0, comment_count=0
    )
    assert live == [msgspec.json.encode(reel) for reel in (first, ranked[1])]
