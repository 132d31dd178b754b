"""The seen filter: nothing seen comes back, little else is lost, and Lua and Python agree."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator

import pytest

from api.cursor import Cursor, CursorCodec, Surface
from api.limits import Limiter
from api.settings import Settings
from api.snapshots import seen
from api.snapshots.ranking import RankedItem
from api.snapshots.snapshot import Snapshot, SnapshotKey
from api.snapshots.store import Owner, SnapshotStore
from api.snapshots.touches import Touch, Touches
from api.stores import Stores
from tests.conftest import settings_on

STATED_LOAD = 2_500  # items a day
CURSORS = CursorCodec("s" * 40, 7_200)


@pytest.fixture
async def settings(redis_url: str) -> Settings:
    """Settings of a service that only has Redis."""
    return settings_on(redis_url=redis_url)


@pytest.fixture
async def stores(settings: Settings) -> AsyncIterator[Stores]:
    """The stores, of which only Redis is there."""
    stores = Stores(settings)
    yield stores
    await stores.close()


@pytest.fixture
def store(stores: Stores, settings: Settings) -> SnapshotStore:
    """Snapshots."""
    return SnapshotStore(stores.redis, Limiter(stores.redis, 10**6), settings)


@pytest.fixture
def touches(stores: Stores, settings: Settings) -> Touches:
    """What writes a filter."""
    return Touches(stores.redis, settings)


async def kept_by_script(store: SnapshotStore, owner: Owner, ids: list[int]) -> list[int]:
    """The items that are left of a snapshot when the script cuts it."""
    kept: list[int] = []
    for start in range(0, len(ids), 1_000):
        items = [RankedItem(i, 10, 1, b"%d" % i) for i in ids[start : start + 1_000]]
        snapshot = Snapshot(owner.surface, SnapshotKey.fresh(), 1_900_000_000_000, items)
        await store.keep(owner, snapshot, variant="default")
        cursor = Cursor(
            surface=owner.surface,
            session=snapshot.key.session,
            generation=0,
            position=0,
            as_of_ms=snapshot.as_of_ms,
            variant="default",
            fingerprint=0,
            lowest_height=0,
            lowest_id=0,
        )
        reply = await store.read_at(owner, cursor, len(items))
        assert reply.page
        kept += map(int, reply.page.bodies)
    return kept


@pytest.mark.parametrize("are_in_a_row", [False, True])
async def test_false_positives_stay_below_one_percent(
    store: SnapshotStore, touches: Touches, stores: Stores, are_in_a_row: bool
) -> None:
    """At the stated load on both days that are read; inside Redis and outside, item by item."""
    owner = Owner(Surface.REELS, 1)
    dice = random.Random(3)
    count = 2 * STATED_LOAD + 20_000
    ids = list(range(count)) if are_in_a_row else [dice.getrandbits(63) for _ in range(count)]
    watched, others = ids[: 2 * STATED_LOAD], ids[2 * STATED_LOAD :]
    today, yesterday = seen.keys(1, "video")
    for half in (watched[:STATED_LOAD], watched[STATED_LOAD:]):
        for start in range(0, STATED_LOAD, 100):
            await touches.note(Touch(viewer_id=1, seen_videos=half[start : start + 100]))
        if half[0] == watched[0]:
            await stores.redis.client.rename(today, yesterday)
    assert await stores.redis.client.strlen(today) <= seen.BITS // 8

    assert await kept_by_script(store, owner, watched) == []
    kept = await kept_by_script(store, owner, others)
    assert 0 < len(others) - len(kept) < 0.01 * len(others)
    filtered = (await store.excluded(owner)).seen
    assert [item for item in others if item not in filtered] == kept
    assert all(item in filtered for item in watched)


async def test_a_day_is_remembered_for_a_day_and_then_expires(
    store: SnapshotStore, touches: Touches, stores: Stores
) -> None:
    client = stores.redis.client
    owner = Owner(Surface.REELS, 1)
    await touches.note(Touch(viewer_id=1, seen_videos=[7]))
    today, yesterday = seen.keys(1, "video")
    assert seen.DAY_SECONDS < await client.ttl(today) <= 2 * seen.DAY_SECONDS
    await client.rename(today, yesterday)
    assert await kept_by_script(store, owner, [7, 8]) == [8]
    assert await kept_by_script(store, Owner(Surface.REELS, 2), [7, 8]) == [7, 8]


async def test_posts_and_videos_of_one_number_are_two_things(
    store: SnapshotStore, touches: Touches
) -> None:
    await touches.note(Touch(viewer_id=1, seen_videos=[7], seen_posts=[8]))
    for surface, left in (
        (Surface.REELS, [8]),
        (Surface.REELS_TRENDING, [8]),
        (Surface.POSTS, [7]),
    ):
        assert await kept_by_script(store, Owner(surface, 1), [7, 8]) == left
