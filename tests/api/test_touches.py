"""A write of a viewer, and the pages after it: no page from before it, whatever overlaps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest
from prometheus_client import REGISTRY

from api.cursor import Surface
from api.settings import Settings
from api.snapshots.exclusions import HIDDEN_MOST, Hiding, hidden_key
from api.snapshots.landed import STANDING_SECONDS
from api.snapshots.store import Owner
from api.snapshots.touches import Touch, touched_key
from api.stack.ports import free_port
from tests.api.conftest import new_id
from tests.api.feeds import MadeUpRanking, Process, feed_settings, ids, process, touching, until
from tests.api.proxy import Proxy

ITEMS = {item: 1_000 + item % 3 for item in range(1, 121)}


@pytest.fixture
def settings(redis_url: str) -> Settings:
    """Settings of processes that only have Redis."""
    return feed_settings(redis_url=redis_url)


@pytest.fixture
async def one(settings: Settings) -> AsyncIterator[Process]:
    """A process that serves feeds."""
    async with process(settings) as one:
        yield one


@pytest.fixture
async def other(settings: Settings) -> AsyncIterator[Process]:
    """Another one."""
    async with process(settings) as other:
        yield other


@pytest.fixture
def reels() -> MadeUpRanking:
    """A ranking of videos."""
    return MadeUpRanking(Surface.REELS, dict(ITEMS))


@pytest.fixture
def posts() -> MadeUpRanking:
    """A ranking of posts."""
    return MadeUpRanking(Surface.POSTS, dict(ITEMS))


@pytest.fixture
def viewer() -> int:
    """Somebody."""
    return new_id()


async def test_the_next_first_page_is_ranked_anew_once(
    one: Process, other: Process, reels: MadeUpRanking, viewer: int
) -> None:
    await one.first(reels, viewer)
    assert (await other.first(reels, viewer)).cache_hit
    await other.touches.note(Touch(viewer_id=viewer, is_reranked=True))
    page = await one.first(reels, viewer)
    assert (page.cache_hit, page.degraded) == (False, "none")
    assert (await other.first(reels, viewer)).cache_hit
    assert reels.count == 2


async def test_what_touches_nothing_ranks_nothing_anew(
    one: Process, reels: MadeUpRanking, viewer: int
) -> None:
    """Seeing does not; nor a post, for videos; nor anything, for a chart that knows no viewer."""
    chart = MadeUpRanking(Surface.REELS_TRENDING, dict(ITEMS))
    for ranking in (reels, chart):
        await one.first(ranking, viewer)
    await one.touches.note(
        Touch(viewer_id=viewer, txid=10**9, seen_videos=[1]),
        Touch(viewer_id=new_id(), is_reranked=True),
    )
    await one.touches.posted(77, [viewer], 10**9)
    assert (await one.first(reels, viewer)).cache_hit
    await one.touches.note(Touch(viewer_id=viewer, txid=10**9, is_reranked=True))
    assert (await one.first(chart, viewer)).cache_hit


@pytest.mark.parametrize("is_other_process", [False, True])
async def test_a_ranking_begun_before_the_write_is_not_shared_with_who_came_after_it(
    one: Process, other: Process, reels: MadeUpRanking, viewer: int, is_other_process: bool
) -> None:
    """Nor does it become anybody's first page when it ends last."""
    early = asyncio.create_task(one.first(reels, viewer))
    reels.gate.clear()
    await reels.has_begun.wait()
    await other.touches.note(Touch(viewer_id=viewer, is_reranked=True))

    later = MadeUpRanking(Surface.REELS, {999: 1} | ITEMS)
    reader = other if is_other_process else one
    page = await reader.first(later, viewer)
    assert ids(page)[0] == 999
    reels.gate.set()
    assert ids(await early)[0] == 1
    for reader in (one, other):
        again = await reader.first(later, viewer)
        assert (ids(again)[0], again.cache_hit) == (999, True)
    assert later.count == 1


async def test_concurrent_first_pages_after_a_write_are_one_ranking(
    one: Process, other: Process, reels: MadeUpRanking, viewer: int
) -> None:
    await one.first(reels, viewer)
    await one.touches.note(Touch(viewer_id=viewer, is_reranked=True, txid=500))
    await one.land(500)
    await other.landed.look()
    pages = await asyncio.gather(*(p.first(reels, viewer) for p in [one, other] * 10))
    assert reels.count == 2
    assert len({page.as_of_ms for page in pages}) == 1


async def test_a_first_page_waits_for_the_write_to_land(
    one: Process, reels: MadeUpRanking, viewer: int
) -> None:
    await one.land(100)
    await one.first(reels, viewer)
    # The larger number counts, in whichever order two writes tell.
    await one.touches.note(Touch(viewer_id=viewer, is_reranked=True, txid=102))
    await one.touches.note(Touch(viewer_id=viewer, is_reranked=True, txid=101))
    asking = asyncio.create_task(one.first(reels, viewer))
    await asyncio.sleep(0.05)
    await one.stores.redis.client.set("nova:landed", 101)
    await asyncio.sleep(0.05)
    assert reels.count == 1
    reels.items = {999: 1} | ITEMS
    await one.stores.redis.client.set("nova:landed", 102)
    page = await asking
    assert (ids(page)[0], page.cache_hit, reels.count) == (999, False, 2)
    assert (await one.first(reels, viewer)).cache_hit


async def test_what_did_not_land_in_time_is_served_again_until_it_has(
    one: Process, other: Process, reels: MadeUpRanking, viewer: int
) -> None:
    """Ranked once without the write, once with it, never in between."""
    await one.land(100)
    await one.touches.note(Touch(viewer_id=viewer, is_reranked=True, txid=105))
    assert not (await one.first(reels, viewer)).cache_hit
    assert (await other.first(reels, viewer)).cache_hit
    assert reels.count == 1
    reels.items = {999: 1} | ITEMS
    await one.land(105)
    page = await one.first(reels, viewer)
    assert (ids(page)[0], page.cache_hit, reels.count) == (999, False, 2)
    await other.landed.look()
    again = await other.first(reels, viewer)
    assert (ids(again)[0], again.cache_hit) == (999, True)


def waits(outcome: str) -> float:
    """How often a first page waited, by how that ended (count)."""
    name = "nova_feed_landing_wait_seconds_count"
    return REGISTRY.get_sample_value(name, {"outcome": outcome}) or 0


async def test_nobody_waits_while_landing_stands_still(one: Process, reels: MadeUpRanking) -> None:
    await one.land(100)

    async def outcome() -> str:
        viewer = new_id()
        await one.touches.note(Touch(viewer_id=viewer, is_reranked=True, txid=105))
        before = {outcome: waits(outcome) for outcome in ("landed", "timeout", "skipped")}
        assert (await one.first(reels, viewer)).bodies
        [changed] = [outcome for outcome, count in before.items() if waits(outcome) > count]
        return changed

    assert await outcome() == "timeout"
    await asyncio.sleep(STANDING_SECONDS)
    assert await outcome() == "skipped"
    await one.land(101)  # it moves again: worth waiting for
    assert await outcome() == "timeout"


async def test_without_numbers_a_write_settles_by_time(
    settings: Settings, reels: MadeUpRanking, viewer: int
) -> None:
    timed = msgspec.structs.replace(settings, cdc="kafka", landing_settle_ms=1_000)
    async with process(timed) as one:
        await one.first(reels, viewer)
        await one.touches.note(Touch(viewer_id=viewer, is_reranked=True, txid=1))
        assert not (await one.first(reels, viewer)).cache_hit
        assert (await one.first(reels, viewer)).cache_hit
        await asyncio.sleep(1)
        await one.landed.look()
        assert not (await one.first(reels, viewer)).cache_hit
        assert (await one.first(reels, viewer)).cache_hit
    assert reels.count == 3


async def test_a_snapshot_of_a_release_that_noted_less_is_served(
    one: Process, posts: MadeUpRanking, viewer: int
) -> None:
    await one.first(posts, viewer)
    head = Owner(Surface.POSTS, viewer).head("default")
    assert await one.stores.redis.client.hdel(head, "position", "refreshed", "checked") == 3
    assert (await one.first(posts, viewer)).cache_hit


# ---------- what leaves every later page


async def test_hidden_users_leave_the_later_pages_of_snapshots_that_exist(
    one: Process, other: Process, reels: MadeUpRanking, viewer: int
) -> None:
    first = await one.first(reels, viewer, 10)
    await one.touches.note(Touch(viewer_id=viewer, hidings=[Hiding(1_001, True, 5)]))
    later = await other.next(reels, viewer, first, 10)
    assert later.cache_hit
    assert ids(later) == [item for item in range(11, 26) if ITEMS[item] != 1_001]  # filled
    again = await one.first(reels, viewer, 10)
    assert again.cache_hit
    assert ids(again) == [item for item in range(1, 16) if ITEMS[item] != 1_001]

    # Also where Python cuts: a ranking made anew, before the block has landed in it.
    await one.touches.note(Touch(viewer_id=viewer, is_reranked=True))
    anew = await one.first(reels, viewer, 10)
    assert (ids(anew), anew.cache_hit) == (ids(again), False)

    await one.touches.note(Touch(viewer_id=viewer, hidings=[Hiding(1_001, False, 6)]))
    assert ids(await one.first(reels, viewer, 10)) == list(range(1, 11))
    assert ids(await one.first(reels, new_id(), 10)) == list(range(1, 11))


async def test_seen_videos_leave_every_later_page_at_once(
    one: Process, reels: MadeUpRanking, viewer: int
) -> None:
    first = await one.first(reels, viewer, 10)
    await one.touches.note(Touch(viewer_id=viewer, seen_videos=[2, 12, 14]))
    assert ids(await one.next(reels, viewer, first, 3)) == [11, 13, 15]
    assert ids(await one.first(reels, viewer, 3)) == [1, 3, 4]
    await one.touches.note(Touch(viewer_id=viewer, is_reranked=True))
    assert ids(await one.first(reels, viewer, 3)) == [1, 3, 4]


async def test_touches_are_bounded_and_end(one: Process, viewer: int) -> None:
    hidings = [Hiding(user, True, user) for user in range(1, HIDDEN_MOST + 11)]
    await one.touches.note(
        Touch(viewer_id=viewer, is_reranked=True, seen_videos=[1], hidings=hidings)
    )
    client = one.stores.redis.client
    kept = await client.zrange(hidden_key(viewer), 0, -1)
    assert kept == [hiding.member for hiding in hidings[10:]]  # the oldest are gone
    for key in (hidden_key(viewer), touched_key(viewer)):
        assert 86_400 < await client.ttl(key) <= 2 * 86_400


async def test_what_redis_did_not_take_is_told_when_it_is_back(
    settings: Settings, one: Process, reels: MadeUpRanking, viewer: int
) -> None:
    """The writer never hears of it."""
    await one.first(reels, viewer)
    async with Proxy(settings.redis_url, free_port()) as proxy:
        line = msgspec.structs.replace(settings, redis_url=proxy.url, redis_timeout_ms=500)
        async with touching(line) as touches:
            proxy.cut()
            await touches.note(
                Touch(
                    viewer_id=viewer,
                    is_reranked=True,
                    seen_videos=[1],
                    hidings=[Hiding(1_002, True, 5)],
                )
            )
            assert (await one.first(reels, viewer)).cache_hit
            proxy.mend()
            await until(lambda: not touches.late)
        page = await one.first(reels, viewer)
        assert (ids(page)[:3], page.cache_hit) == ([3, 4, 6], False)


async def test_a_late_decision_does_not_overtake_the_one_after_it(
    settings: Settings, one: Process, reels: MadeUpRanking, viewer: int
) -> None:
    """A process that Redis did not hear at first tells it when others have told what came next."""
    await one.first(reels, viewer)
    large = 2**51  # a score is twice that, and still exact
    async with Proxy(settings.redis_url, free_port()) as proxy:
        line = msgspec.structs.replace(settings, redis_url=proxy.url, redis_timeout_ms=500)
        async with touching(line) as late:
            proxy.cut()
            hidings = [Hiding(1_001, True, large), Hiding(1_002, False, large)]
            await late.note(Touch(viewer_id=viewer, hidings=hidings))
            hidings = [Hiding(1_001, False, large + 1), Hiding(1_002, True, large + 1)]
            await one.touches.note(Touch(viewer_id=viewer, hidings=hidings))
            proxy.mend()
            await until(lambda: not late.late)
    left = [item for item in ITEMS if ITEMS[item] != 1_002]
    assert ids(await one.first(reels, viewer, 20)) == left[:20]
    await one.touches.note(Touch(viewer_id=viewer, is_reranked=True))
    assert ids(await one.first(reels, viewer, 20)) == left[:20]  # also where Python cuts


async def test_a_redis_that_was_emptied_knows_the_script_again(
    one: Process, reels: MadeUpRanking, viewer: int
) -> None:
    client = one.stores.redis.client
    await one.touches.note(Touch(viewer_id=viewer, seen_videos=[1]))
    await client.flushall()
    await client.script_flush()
    await one.touches.note(Touch(viewer_id=viewer, seen_videos=[2]))
    assert ids(await one.first(reels, viewer, 2)) == [1, 3]
