"""Walks over rankings that a test makes up, on real Redis and Postgres, and touches."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

import redis

from api.cursor import Cursor, CursorCodec, Surface
from api.limits import Limiter
from api.settings import Settings
from api.snapshots.landed import LandedWatch
from api.snapshots.largeposts import LargePosts
from api.snapshots.ranking import Ranked, RankedItem
from api.snapshots.releases import ReleaseWatch
from api.snapshots.store import SnapshotStore, now_ms
from api.snapshots.touches import Touches
from api.snapshots.walk import Page, Walks
from api.stores import Breaker, Stores
from api.workers import LANDED_KEY, REFRESHED_KEY, refreshing
from api.workers.landing import Landing, quiet_log, work
from tests.conftest import settings_on

ALL = frozenset(Surface)


def feed_settings(**addresses: str) -> Settings:
    """Settings of processes that serve feeds, under which a busy machine has the time it needs."""
    return settings_on(
        redis_timeout_ms=5_000,
        log_level="error",
        landing_wait_ms=300,
        clickhouse_timeout_ms=30_000,
        **addresses,
    )


@asynccontextmanager
async def touching(settings: Settings) -> AsyncIterator[Touches]:
    """What a process that takes writes has."""
    stores = Stores(settings)
    touches = Touches(stores.redis, settings)
    try:
        yield touches
    finally:
        await touches.close()
        await stores.close()


class MadeUpRanking:
    """
    Ranks `items` (id to author), the first one best, and counts how often.

    `gate` holds rankings up when it is cleared; `ranked` has run when one has begun. Its store
    fails while it `is_away`.
    """

    def __init__(self, surface: Surface, items: dict[int, int]) -> None:
        self.surface = surface
        self.circuit = Breaker(surface.slug, failures_to_open=3, open_seconds=1)
        self.items = items
        self.is_away = False
        self.count = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.has_begun = asyncio.Event()

    async def ranked(
        self, viewer_id: int, as_of_ms: int | None, variant: str, shown: Sequence[int]
    ) -> Ranked:
        """Return what is there when it begins, however long it is held up."""
        as_of_ms = as_of_ms or now_ms()
        items = await self.circuit.run(lambda: self._ranked(shown), timeout_seconds=60)
        return Ranked(as_of_ms, items)

    async def _ranked(self, shown: Sequence[int]) -> list[RankedItem]:
        self.count += 1
        if self.is_away:
            raise ConnectionError
        items = dict(self.items)
        self.has_begun.set()
        await self.gate.wait()
        return [
            RankedItem(item_id=item, height=10**6 - n, author_id=author, body=b"%d" % item)
            for n, (item, author) in enumerate(items.items())
            if item not in shown
        ]


class Process:
    """One process that serves feeds."""

    def __init__(self, settings: Settings) -> None:
        self.stores = Stores(settings)
        limiter = Limiter(self.stores.redis, 10**6)
        self.store = SnapshotStore(self.stores.redis, limiter, settings)
        self.landed = LandedWatch(self.stores.redis, settings)
        self.large_posts = LargePosts(
            self.stores.redis, self.stores.postgres, self.landed, settings
        )
        self.cursors = CursorCodec(settings.cursor_secret, settings.snapshot_ttl_seconds)
        self.walks = Walks(
            self.store,
            limiter,
            ReleaseWatch(self.stores.clickhouse),
            self.landed,
            self.large_posts,
            self.cursors,
            settings,
        )
        self.touches = Touches(self.stores.redis, settings)

    async def first(
        self, ranking: MadeUpRanking, viewer: int, limit: int = 50, *stand_ins: MadeUpRanking
    ) -> Page:
        """Ask for a first page."""
        return await self.walks.first_page([ranking, *stand_ins], viewer, "default", limit)

    async def next(
        self,
        ranking: MadeUpRanking,
        viewer: int,
        page: Page,
        limit: int = 50,
        *stand_ins: MadeUpRanking,
    ) -> Page:
        """Ask for the page after another."""
        assert page.next_cursor
        cursor: Cursor = self.cursors.decode(page.next_cursor, viewer, ALL)
        return await self.walks.next_page([ranking, *stand_ins], viewer, cursor, limit)

    async def land(self, txid: int, refreshed: int | None = None) -> None:
        """Tell how far all has landed, and what ranks was refreshed (as far), as workers do."""
        refreshed = txid if refreshed is None else refreshed
        await self.stores.redis.client.mset({LANDED_KEY: txid, REFRESHED_KEY: refreshed})
        await self.landed.look()


@asynccontextmanager
async def process(settings: Settings) -> AsyncIterator[Process]:
    """Run a process that serves feeds."""
    process = Process(settings)
    await process.stores.postgres.open()
    await process.walks.start()
    try:
        yield process
    finally:
        await process.touches.close()
        await process.walks.close()
        await process.stores.close()


def ids(page: Page) -> list[int]:
    """The ids of a page."""
    return [int(body) for body in page.bodies]


async def until(holds: Callable[[], bool], seconds: float = 10) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110  whatever it is, it is not ours to signal
            await asyncio.sleep(0.01)


@contextmanager
def landing_worker(settings: Settings) -> Iterator[None]:
    """Land what is written to Postgres, as the worker does."""
    stop = threading.Event()
    # The engine is shared with tests whose rows are from other databases.
    landing = Landing(settings, new_source="add", log=quiet_log())
    worker = threading.Thread(target=work, args=[landing, stop])
    worker.start()
    try:
        yield
    finally:
        stop.set()
        worker.join()
        landing.disconnect()


@contextmanager
def refreshing_worker(settings: Settings) -> Iterator[None]:
    """Refresh what ranks when something has landed, as the worker does, and has done once."""
    stop = threading.Event()
    worker = threading.Thread(target=refreshing.work, args=[settings, stop])
    worker.start()
    try:
        with redis.Redis.from_url(settings.redis_url) as client:
            while client.get(REFRESHED_KEY) is None:
                assert worker.is_alive()
                time.sleep(0.05)
        yield
    finally:
        stop.set()
        worker.join()
