"""
First pages made before anybody asks: after a release, or for viewers who are about to come.

Does what a first page does, so it may run at any time, again, beside the service and beside itself:
who has a fresh snapshot is left alone, and who is being ranked elsewhere, too. It holds one place
of ClickHouse, for one statement of many viewers at a time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager

import msgspec
from msgspec import Struct

from api.cursor import CursorCodec
from api.limits import Limiter
from api.reels.cards import ReelCards
from api.reels.queries import ReelQueries
from api.reels.ranking import ReelRanking
from api.settings import Settings
from api.snapshots.landed import LandedWatch
from api.snapshots.releases import ReleaseWatch
from api.snapshots.walk import Walks
from api.stores import Stores, StoreUnavailableError
from api.surfaces.reader import DEFAULT_VARIANT

# Twice as many as one statement ranks (count): while one is under way, the snapshots of the one
# before are kept.
VIEWERS_AT_ONCE = 128
VIEWERS_TOGETHER = 64
TIMEOUT_MS = 30_000  # nobody waits


class Warmed(Struct, frozen=True):
    """What became of the viewers (count), and how long it took (seconds)."""

    ranked: int = 0
    left_alone: int = 0
    failed: int = 0
    seconds: float = 0.0


class Warmer:
    """Makes first pages of viewers."""

    def __init__(self, walks: Walks, ranking: ReelRanking, queries: ReelQueries) -> None:
        self._walks = walks
        self._ranking = ranking
        self._queries = queries

    async def recent_viewers(self, count: int) -> list[int]:
        """Return who watched something last; raises `StoreUnavailableError`."""
        return await self._queries.recent_viewers(count)

    async def warm(self, viewer_ids: Iterable[int]) -> Warmed:
        """Make first pages, of a bounded number of viewers at a time."""
        began_at = time.monotonic()
        remaining = iter(viewer_ids)
        counts = await asyncio.gather(*(self._some(remaining) for _ in range(VIEWERS_AT_ONCE)))
        ranked, left_alone, failed = map(sum, zip(*counts, strict=True))
        return Warmed(ranked, left_alone, failed, round(time.monotonic() - began_at, 3))

    async def _some(self, remaining: Iterator[int]) -> tuple[int, int, int]:
        ranked = left_alone = failed = 0
        for viewer_id in remaining:
            try:
                if await self._walks.warm(self._ranking, viewer_id, DEFAULT_VARIANT):
                    ranked += 1
                else:
                    left_alone += 1
            except StoreUnavailableError:
                failed += 1
        return ranked, left_alone, failed


@asynccontextmanager
async def warming(settings: Settings) -> AsyncIterator[Warmer]:
    """What a process that warms has."""
    settings = msgspec.structs.replace(
        settings,
        clickhouse_pool_max=1,
        clickhouse_timeout_ms=TIMEOUT_MS,
        clickhouse_wait_ms=TIMEOUT_MS,
        cards_timeout_ms=TIMEOUT_MS,
    )
    stores = Stores(settings)
    limiter = Limiter(stores.redis, settings.rate_limit_per_minute)
    releases = ReleaseWatch(stores.clickhouse)
    landed = LandedWatch(stores.redis, settings)
    cursors = CursorCodec(settings.cursor_secret, settings.snapshot_ttl_seconds)
    walks = Walks.over(stores, limiter, releases, landed, cursors, settings)
    queries = ReelQueries(stores.clickhouse, settings)
    cards = ReelCards(stores.postgres, stores.clickhouse, settings)
    await stores.postgres.open()
    await releases.start()
    await walks.start()
    try:
        yield Warmer(walks, ReelRanking(queries, cards, together_most=VIEWERS_TOGETHER), queries)
    finally:
        await releases.stop()
        await walks.close()
        await cards.close()
        await stores.close()


async def warm(settings: Settings, viewer_ids: Iterable[int]) -> Warmed:
    """Make first pages of viewers with stores of its own."""
    async with warming(settings) as warmer:
        return await warmer.warm(viewer_ids)


async def warm_recent(settings: Settings, count: int) -> Warmed:
    """Make first pages of those who watched something last; raises `StoreUnavailableError`."""
    async with warming(settings) as warmer:
        return await warmer.warm(await warmer.recent_viewers(count))
