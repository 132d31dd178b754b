"""Rankings that stand in for others: nobody waits for a store that hangs, and one asks for all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import NamedTuple

import msgspec
import pytest

from api.cursor import Surface
from api.errors import BadCursorError, UnavailableError
from api.settings import Settings
from api.snapshots.walk import Page
from api.stack.ports import free_port
from api.stores import Breaker
from tests.api.conftest import new_id
from tests.api.feeds import MadeUpRanking, Process, ids, process, until
from tests.api.proxy import Proxy
from tests.conftest import settings_on

RANKED = dict.fromkeys(range(1, 61), 77)
TIMED = dict.fromkeys(range(41, 101), 77)


class Feed(NamedTuple):
    """A ranking, and the timeline that stands in for it."""

    ranking: MadeUpRanking
    timeline: MadeUpRanking


@pytest.fixture
def settings(postgres_url: str, redis_url: str) -> Settings:
    """Settings of processes that have Redis and Postgres."""
    return settings_on(
        redis_url=redis_url,
        postgres_url=postgres_url,
        redis_timeout_ms=5_000,
        log_level="error",
        landing_wait_ms=300,
        clickhouse_timeout_ms=60_000,
    )


@pytest.fixture
async def one(settings: Settings) -> AsyncIterator[Process]:
    """A process that serves feeds."""
    async with process(settings) as one:
        yield one


@pytest.fixture
def feed() -> Feed:
    """A ranking and its timeline; they share twenty posts."""
    return Feed(
        MadeUpRanking(Surface.POSTS, dict(RANKED)),
        MadeUpRanking(Surface.POSTS_TIMELINE, dict(TIMED)),
    )


async def first(one: Process, feed: Feed, viewer: int, limit: int = 20) -> Page:
    """Ask for a first page."""
    return await one.first(feed.ranking, viewer, limit, feed.timeline)


async def open_circuit(one: Process, feed: Feed) -> None:
    """Fail until nobody asks any more."""
    feed.ranking.is_away = True
    while not feed.ranking.circuit.is_refusing:
        assert (await first(one, feed, new_id())).degraded == "timeline"


async def test_nobody_asks_while_the_circuit_is_open(one: Process, feed: Feed) -> None:
    feed.ranking.circuit = Breaker("posts", failures_to_open=3, open_seconds=600)
    await open_circuit(one, feed)
    asked = feed.ranking.count
    pages = await asyncio.gather(*(first(one, feed, new_id()) for _ in range(50)))
    assert {page.degraded for page in pages} == {"timeline"}
    assert all(page.is_fallback and page.surface is Surface.POSTS_TIMELINE for page in pages)
    assert feed.ranking.count == asked


async def test_one_finds_out_whether_it_is_well_and_does_not_wait_for_it(
    one: Process, feed: Feed
) -> None:
    """All are answered while the store hangs; what it says at last is there for the next."""
    await open_circuit(one, feed)
    await until(lambda: not feed.ranking.circuit.is_refusing)
    feed.ranking.is_away = False
    feed.ranking.gate.clear()
    asked = feed.ranking.count
    viewers = [new_id() for _ in range(20)]
    for _ in range(3):
        pages = await asyncio.gather(*(first(one, feed, viewer) for viewer in viewers))
        assert {page.degraded for page in pages} == {"timeline"}
    assert feed.ranking.count == asked + 1

    feed.ranking.gate.set()
    await until(lambda: feed.ranking.circuit.is_closed)
    pages = [await first(one, feed, viewer) for viewer in viewers]
    assert {page.degraded for page in pages} == {"none"}
    assert [page.cache_hit for page in pages].count(True) == 1


async def test_concurrent_misses_of_a_viewer_are_one_timeline(
    one: Process, settings: Settings, feed: Feed
) -> None:
    """In a process and between two, also those that come while the ranking has yet to fail."""
    viewer = new_id()
    feed.ranking.is_away = True
    async with process(settings) as other:
        for _ in range(2):
            pages = await asyncio.gather(*(first(p, feed, viewer) for p in [one, other] * 10))
    assert {tuple(ids(page)) for page in pages} == {tuple(range(41, 61))}
    assert feed.timeline.count == 1


async def test_a_timeline_is_never_taken_for_the_ranking(one: Process, feed: Feed) -> None:
    viewer = new_id()
    feed.ranking.is_away = True
    assert ids(await first(one, feed, viewer)) == list(range(41, 61))
    feed.ranking.is_away = False
    page = await first(one, feed, viewer)
    assert (ids(page), page.degraded, page.cache_hit) == (list(range(1, 21)), "none", False)
    timeline = await one.first(feed.timeline, viewer, 20)
    assert (ids(timeline), timeline.degraded, timeline.cache_hit) == (
        list(range(41, 61)),
        "none",
        True,
    )


async def test_a_walk_goes_on_where_it_can_without_what_it_was_shown(
    one: Process, feed: Feed
) -> None:
    viewer = new_id()
    page = await first(one, feed, viewer, 50)
    feed.ranking.is_away = True
    shown = ids(page)
    levels = []
    while page.next_cursor:
        page, again = [
            await one.next(feed.ranking, viewer, page, 20, feed.timeline) for _ in range(2)
        ]
        assert again.bodies == page.bodies
        levels.append((page.degraded, page.surface))
        shown += ids(page)
    assert shown == list(range(1, 101))
    assert set(levels) == {("timeline", Surface.POSTS_TIMELINE)}


@pytest.mark.parametrize("is_back", [False, True])
async def test_a_walk_that_crossed_over_ends_where_what_it_showed_is_lost(
    one: Process, feed: Feed, is_back: bool
) -> None:
    """It could only repeat that, whether it is in the timeline or in the ranking again."""
    feed.timeline.items = dict.fromkeys(range(41, 71), 77)
    viewer = new_id()
    page = await first(one, feed, viewer, 55)
    feed.ranking.is_away = True
    page = await one.next(feed.ranking, viewer, page, 10, feed.timeline)
    assert (ids(page), page.degraded) == ([*range(56, 61), *range(61, 66)], "timeline")
    if is_back:
        feed.ranking.is_away = False
        feed.ranking.items = dict.fromkeys(range(1, 91), 77)
        page = await one.next(feed.ranking, viewer, page, 10, feed.timeline)
        assert page.surface is Surface.POSTS_TIMELINE
        assert ids(page) == [*range(66, 76)]
        page = await one.next(feed.ranking, viewer, page, 10, feed.timeline)
        assert (ids(page), page.surface) == ([*range(76, 86)], Surface.POSTS)
    await one.stores.redis.client.flushdb()
    asked = feed.ranking.count + feed.timeline.count
    with pytest.raises(BadCursorError) as ended:
        await one.next(feed.ranking, viewer, page, 10, feed.timeline)
    assert ended.value.reason == "expired"
    assert feed.ranking.count + feed.timeline.count == asked


async def test_a_walk_that_crossed_over_waits_for_a_redis_that_is_away(
    settings: Settings, feed: Feed
) -> None:
    """Which has what it showed: it can be asked for again."""
    viewer = new_id()
    async with (
        Proxy(settings.redis_url, free_port()) as line,
        process(msgspec.structs.replace(settings, redis_url=line.url)) as one,
    ):
        page = await first(one, feed, viewer, 55)
        feed.ranking.is_away = True
        page = await one.next(feed.ranking, viewer, page, 10, feed.timeline)
        line.cut()
        with pytest.raises(UnavailableError):
            await one.next(feed.ranking, viewer, page, 10, feed.timeline)
        line.mend()
        later = await one.next(feed.ranking, viewer, page, 10, feed.timeline)
        assert ids(later) == list(range(66, 76))


async def test_a_large_authors_post_is_in_the_timeline_before_it_has_landed(
    one: Process, feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    follower, author = new_id(), new_id()

    async def is_follower(viewer_id: int, author_ids: list[int]) -> bool:
        return (viewer_id, author_ids) == (follower, [author])

    monkeypatch.setattr(one.large_posts, "is_follower", is_follower)
    feed.ranking.is_away = True
    await one.land(100)
    for viewer in (follower, other := new_id()):
        await first(one, feed, viewer)
        assert (await first(one, feed, viewer)).cache_hit
    await one.touches.posted(author, None, 105)
    await one.large_posts.look()
    feed.timeline.items = {999: author} | TIMED
    page = await first(one, feed, follower)
    assert (ids(page)[0], page.cache_hit) == (999, False)
    assert (await first(one, feed, follower)).cache_hit
    assert (await first(one, feed, other)).cache_hit
