"""A new post, and the feeds of those who follow its author: few are touched, many find out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import msgspec
import psycopg
import pytest
from prometheus_client import REGISTRY

from api.cursor import Surface
from api.settings import Settings
from api.snapshots.exclusions import DELETED_MOST, deleted_key, packed_id
from api.snapshots.largeposts import CHECKS_AT_ONCE, POSTS_KEY, POSTS_MOST
from api.snapshots.touches import KEPT_SECONDS, Touch
from api.stack.ports import free_port
from api.stores import StoreUnavailableError
from api.workers import REFRESHED_KEY
from tests.api.conftest import new_id
from tests.api.feeds import MadeUpRanking, Process, feed_settings, ids, process, until
from tests.api.proxy import Proxy

ITEMS = dict.fromkeys(range(1, 61), 77)


@pytest.fixture
def settings(postgres_url: str, redis_url: str) -> Settings:
    """Settings of processes that have Redis and Postgres."""
    return feed_settings(redis_url=redis_url, postgres_url=postgres_url)


@pytest.fixture
async def one(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Process]:
    """A process that serves feeds, with time for Postgres on a busy machine."""
    monkeypatch.setattr("api.snapshots.largeposts.CHECK_SECONDS", 5)
    async with process(settings) as one:
        yield one


@pytest.fixture
def postgres(postgres_url: str) -> Iterator[psycopg.Connection]:
    """The system of record."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def posts() -> MadeUpRanking:
    """A ranking of posts."""
    return MadeUpRanking(Surface.POSTS, dict(ITEMS))


class People:
    """A large author, who follows them, who no longer does, and who never did."""

    def __init__(self, postgres: psycopg.Connection) -> None:
        self.author, self.follower, self.lapsed, self.stranger = (new_id() for _ in range(4))
        postgres.execute(
            "insert into app.users (id) select unnest(%s::bigint[])",
            [[self.author, self.follower, self.lapsed, self.stranger]],
        )
        postgres.execute(
            "insert into app.follows (follower_id, followee_id, deleted) "
            "values (%s, %s, false), (%s, %s, true)",
            [self.follower, self.author, self.lapsed, self.author],
        )


@pytest.fixture
def people(postgres: psycopg.Connection) -> People:
    """People in Postgres."""
    return People(postgres)


def checks() -> float:
    """How often Postgres was asked whether somebody follows (count)."""
    return sum(
        sample.value
        for metric in REGISTRY.collect()
        if metric.name == "nova_feed_large_post_checks"
        for sample in metric.samples
        if sample.name.endswith("_total")
    )


async def test_followers_of_a_small_author_are_ranked_anew_for_posts_alone(
    one: Process, posts: MadeUpRanking
) -> None:
    reels = MadeUpRanking(Surface.REELS, dict(ITEMS))
    followers = [new_id() for _ in range(600)]
    for viewer in (followers[0], followers[-1]):
        await one.first(posts, viewer)
        await one.first(reels, viewer)
    await one.land(100)
    await one.touches.posted(77, followers, 100)
    posts.items = {999: 77} | ITEMS
    for viewer in (followers[0], followers[-1]):
        page = await one.first(posts, viewer)
        assert (ids(page)[0], page.cache_hit) == (999, False)
        assert (await one.first(reels, viewer)).cache_hit


async def test_followers_of_a_large_author_find_out_and_others_are_left_alone(
    one: Process, posts: MadeUpRanking, people: People
) -> None:
    everybody = (people.follower, people.lapsed, people.stranger)
    await one.land(100)
    for viewer in everybody:
        await one.first(posts, viewer)
    await one.touches.posted(people.author, None, 105)
    posts.items = {999: people.author} | ITEMS

    # Before it has landed there is nothing to find; nobody asks, nobody waits.
    before = checks()
    await one.large_posts.look()
    assert (await one.first(posts, people.follower)).cache_hit
    assert checks() == before

    await one.land(105)
    page = await one.first(posts, people.follower)
    assert (ids(page)[0], page.cache_hit) == (999, False)
    for viewer in everybody:  # one asks, finds nothing, and does not ask again
        assert (await one.first(posts, viewer)).cache_hit
        assert (await one.first(posts, viewer)).cache_hit
    assert checks() == before + len(everybody)
    assert posts.count == len(everybody) + 1

    # The next post of theirs is another matter.
    await one.touches.posted(people.author, None, 110)
    await one.land(110)
    await one.large_posts.look()
    assert not (await one.first(posts, people.follower)).cache_hit
    assert (await one.first(posts, people.stranger)).cache_hit
    assert checks() == before + len(everybody) + 2


async def test_a_process_that_begins_later_knows_the_posts_before_it(
    one: Process, settings: Settings, posts: MadeUpRanking, people: People
) -> None:
    await one.land(100)
    await one.first(posts, people.follower)
    await one.touches.posted(people.author, None, 105)
    await one.land(105)
    async with process(settings) as late:
        assert not (await late.first(posts, people.follower)).cache_hit
        assert (await late.first(posts, people.follower)).cache_hit


async def test_without_postgres_pages_are_served_as_they_are_and_asked_about_later(
    one: Process, settings: Settings, posts: MadeUpRanking, people: People
) -> None:
    nowhere = msgspec.structs.replace(
        settings, postgres_url="postgresql://nobody@127.0.0.1:1/nova", postgres_timeout_ms=200
    )
    await one.land(100)
    await one.first(posts, people.follower)
    await one.touches.posted(people.author, None, 105)
    await one.land(105)
    await one.large_posts.look()
    async with process(nowhere) as blind:
        assert (await blind.first(posts, people.follower)).cache_hit
    assert not (await one.first(posts, people.follower)).cache_hit


async def test_a_frozen_postgres_keeps_no_page_waiting(
    settings: Settings, posts: MadeUpRanking, people: People
) -> None:
    """Nor is it asked more and more; what was asked is left to end by Postgres' own time."""
    async with Proxy(settings.postgres_url, free_port()) as line:
        frozen = msgspec.structs.replace(
            settings, postgres_url=line.url, postgres_timeout_ms=2_000, postgres_pool_max=8
        )
        async with process(frozen) as one:
            naps = (one.stores.postgres.rows("select pg_sleep(0.1)", {}) for _ in range(8))
            await asyncio.gather(*naps)  # all connections are there
            await one.land(100)
            await one.first(posts, people.follower)
            await one.touches.posted(people.author, None, 105)
            await one.land(105)
            await one.large_posts.look()

            line.wanted, line.requests = b"follower_id", 0
            line.slow(60)
            # Cut when its time is up, and so the measure of what waits for Postgres.
            witness = asyncio.create_task(one.stores.postgres.rows("select 1", {}))
            for _ in range(12):
                assert (await one.first(posts, people.follower)).cache_hit
            assert not witness.done()
            assert 1 <= line.requests <= CHECKS_AT_ONCE
            with pytest.raises(StoreUnavailableError):
                await witness
            line.mend()
            for _ in range(100):
                if not (await one.first(posts, people.follower)).cache_hit:
                    break
                await asyncio.sleep(0.1)
            else:
                raise AssertionError("the post was never asked about again")


async def test_the_list_of_large_posts_is_short_and_ends(one: Process) -> None:
    for number in range(POSTS_MOST + 300):
        await one.touches.posted(number, None, 1_000 + number)
    client = one.stores.redis.client
    assert POSTS_MOST <= await client.xlen(POSTS_KEY) < POSTS_MOST + 300
    assert await client.ttl(POSTS_KEY) > 0
    await one.large_posts.look()
    await one.land(10**6)
    await one.large_posts.look()
    assert len(one.large_posts.missing(0, "")) <= POSTS_MOST


@pytest.mark.parametrize("is_large", [False, True])
async def test_a_post_that_has_landed_is_looked_for_until_what_ranks_was_refreshed(
    one: Process, posts: MadeUpRanking, people: People, is_large: bool
) -> None:
    """Ranked once when it has landed, once when it can be in a ranking, and not in between."""
    reels = MadeUpRanking(Surface.REELS, dict(ITEMS))
    await one.land(100)
    for ranking in (posts, reels):
        await one.first(ranking, people.follower)
    await one.touches.posted(people.author, None if is_large else [people.follower], 105)
    await one.land(105, refreshed=100)
    await one.large_posts.look()
    assert ids(await one.first(posts, people.follower))[0] == 1
    ranked = posts.count
    assert (await one.first(posts, people.follower)).cache_hit

    posts.items = {999: people.author} | ITEMS
    await one.land(110, refreshed=106)
    page = await one.first(posts, people.follower)
    assert (ids(page)[0], page.cache_hit) == (999, False)
    assert (await one.first(posts, people.follower)).cache_hit
    assert posts.count == ranked + 1
    assert (await one.first(reels, people.follower)).cache_hit


@pytest.mark.parametrize("is_large", [False, True])
async def test_when_nobody_tells_of_refreshes_clickhouse_s_schedule_counts(
    one: Process,
    posts: MadeUpRanking,
    people: People,
    monkeypatch: pytest.MonkeyPatch,
    is_large: bool,
) -> None:
    """What landed long enough ago is in a ranking; what has just landed may not be."""
    monkeypatch.setattr("api.snapshots.landed.SCHEDULED_SECONDS", 2)
    client = one.stores.redis.client
    await one.land(100)
    await one.first(posts, people.follower)
    await one.touches.posted(people.author, None if is_large else [people.follower], 105)
    await one.land(105, refreshed=100)
    await one.large_posts.look()
    await one.first(posts, people.follower)
    ranked = posts.count

    before = untold()
    await client.delete(REFRESHED_KEY)
    await one.landed.look()
    assert untold() > before
    assert one.landed.refreshed == 100
    assert (await one.first(posts, people.follower)).cache_hit

    posts.items = {999: people.author} | ITEMS
    await until(lambda: one.landed.refreshed == 105)
    await one.large_posts.look()
    page = await one.first(posts, people.follower)
    assert (ids(page)[0], page.cache_hit, posts.count) == (999, False, ranked + 1)
    await one.land(110, refreshed=107)  # somebody tells again
    assert one.landed.refreshed == 107


def untold() -> float:
    """How often a process found nobody who tells (count)."""
    return REGISTRY.get_sample_value("nova_feed_refreshed_untold_total") or 0


# ---------- deleted posts


def deletion(*posts: int) -> Touch:
    """What the author's process notes when posts are taken back."""
    return Touch(viewer_id=77, deleted_posts=posts)


async def test_deleted_posts_leave_every_page_of_snapshots_that_exist(
    one: Process, settings: Settings, posts: MadeUpRanking
) -> None:
    """Anybody's, filled from behind; videos of the same number stay."""
    reels = MadeUpRanking(Surface.REELS, dict(ITEMS))
    viewer = new_id()
    first = await one.first(posts, viewer, 10)
    await one.first(reels, viewer, 10)
    async with process(settings) as other:
        await other.touches.note(deletion(2, 11, 13, *range(15, 31)))
    rest = [12, 14, *range(31, 61)]

    again = await one.first(posts, viewer, 10)
    assert (ids(again), again.cache_hit) == ([1, *range(3, 11), 12], True)
    later = await one.next(posts, viewer, first, 10)
    assert (ids(later), later.cache_hit) == (rest[:10], True)
    assert ids(await one.next(posts, viewer, later, 50)) == rest[10:]
    assert ids(await one.first(reels, viewer, 3)) == [1, 2, 3]


async def test_deleted_posts_do_not_come_back_where_python_cuts(
    one: Process, posts: MadeUpRanking
) -> None:
    """What ranks may not know yet; nor when an older snapshot is all there is."""
    viewer = new_id()
    first = await one.first(posts, viewer, 3)
    assert first.next_cursor
    cursor = one.cursors.decode(first.next_cursor, viewer, frozenset(Surface))
    await one.touches.note(deletion(2, 61), Touch(viewer_id=viewer, is_reranked=True))
    anew = await one.first(posts, viewer, 3)
    assert (ids(anew), anew.cache_hit) == ([1, 3, 4], False)

    posts.items = ITEMS | dict.fromkeys(range(61, 64), 77)
    await one.touches.note(Touch(viewer_id=viewer, is_reranked=True))
    since = await one.walks.since([posts], viewer, cursor, 10, first.next_cursor)
    assert ids(since) == [62, 63]

    await one.touches.note(Touch(viewer_id=viewer, is_reranked=True), deletion(3))
    posts.is_away = True
    stale = await one.first(posts, viewer, 3)
    assert (ids(stale), stale.degraded) == ([1, 4, 5], "stale")


async def test_a_walk_whose_snapshot_is_lost_goes_on_without_deleted_posts(
    one: Process, posts: MadeUpRanking
) -> None:
    viewer = new_id()
    first = await one.first(posts, viewer, 3)
    client = one.stores.redis.client
    await client.flushdb()
    await one.touches.note(deletion(5))
    later = await one.next(posts, viewer, first, 3)
    assert (ids(later), later.cache_hit) == ([4, 6, 7], False)


async def test_the_set_of_deleted_posts_is_bounded_and_ends(
    one: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By age first, as a page can be older than none of them; then by number."""
    client, key = one.stores.redis.client, deleted_key("post")
    await client.zadd(key, {packed_id(1): 0})
    await one.touches.note(deletion(2), deletion(3))
    assert await client.zrange(key, 0, -1) == [packed_id(2), packed_id(3)]
    assert 0 < await client.ttl(key) <= KEPT_SECONDS

    monkeypatch.setattr("api.snapshots.touches.DELETED_MOST", 4)
    assert DELETED_MOST > 4
    await one.touches.note(*(deletion(post) for post in range(4, 10)))
    assert await client.zcard(key) == 4
    assert await client.zscore(key, packed_id(9))
