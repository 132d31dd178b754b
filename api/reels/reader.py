"""Reels as rankings to walk through, and the charts that everybody shares."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Literal, NamedTuple, cast

import msgspec
from msgspec import Struct

from api.counters.overlay import Overlay, Tail
from api.counters.store import CounterStore
from api.cursor import CursorCodec, Surface
from api.reels.queries import ReelQueries
from api.reels.schemas import COUNTERS, Algorithm, Reel
from api.settings import Settings
from api.snapshots.ranking import RankedItem, Ranking
from api.snapshots.walk import Flights, Walks, unavailable
from api.stores import RedisStore, StoreUnavailableError
from api.surfaces.reader import FeedReader
from api.surfaces.rows import PersonalRanking
from api.surfaces.schemas import Window

CHART_ITEMS = 100  # count, GET /reels/trending
CHART_FRESH_SECONDS = 5.0  # the chart itself is counted again every minute
CHART_RETRY_SECONDS = 1.0  # how long a stale chart is served before ClickHouse is asked again

FEED_WINDOW = Window.DAY  # what `algo=trending` ranks by
FEED_ITEMS = 500  # count, one ranking of `algo=trending`


class TrendingRanking:
    """`algo=trending`: the chart of the day, the same for everyone."""

    surface = Surface.REELS_TRENDING

    def __init__(self, queries: ReelQueries) -> None:
        self._queries = queries

    async def ranked(
        self, viewer_id: int, as_of: datetime, variant: str, shown: Sequence[int]
    ) -> list[RankedItem]:
        """Return the chart without what was shown; it has no clock or variant of its own."""
        return await self._queries.trending(FEED_WINDOW, FEED_ITEMS, shown)


def live_reels(counters: CounterStore) -> Overlay:
    """Return what puts live counters on reels."""
    return Overlay(counters, "video", Tail(Reel, COUNTERS))


def reels_feed(
    queries: ReelQueries, walks: Walks, cursors: CursorCodec, counters: CounterStore
) -> FeedReader[Algorithm]:
    """Return the feed of reels."""
    rankings: dict[Algorithm, Ranking] = {
        Algorithm.CH: PersonalRanking(Surface.REELS, queries),
        Algorithm.TRENDING: TrendingRanking(queries),
    }
    return FeedReader(rankings, live_reels(counters), walks, cursors)


class Chart(Struct, frozen=True):
    """The chart of a window, as it was read."""

    as_of_ms: int
    bodies: list[bytes]


class ChartPage(NamedTuple):
    """A chart, and how it came about."""

    chart: Chart
    is_hit: bool
    degraded: Literal["none", "stale"]


class ChartReader:
    """
    Charts, one reading of a window per process every few seconds; Redis keeps the last good.

    The order and the points are as of the reading, the counters of now.
    """

    def __init__(
        self,
        queries: ReelQueries,
        redis: RedisStore,
        counters: CounterStore,
        settings: Settings,
    ) -> None:
        self._queries = queries
        self._overlay = live_reels(counters)
        self._redis = redis
        self._kept_seconds = settings.stale_ttl_seconds
        self._charts: dict[Window, tuple[float, ChartPage]] = {}
        self._flights = Flights()

    async def top(self, window: Window) -> ChartPage:
        """Return a chart of at most a few seconds ago, or the last good one."""
        known = self._charts.get(window)
        if known is not None and time.monotonic() < known[0]:
            page = known[1]._replace(is_hit=True)
        else:
            page = await self._flights.join(window, lambda: self._read(window))
        bodies = await self._overlay.live(page.chart.bodies)
        return page._replace(chart=msgspec.structs.replace(page.chart, bodies=bodies))

    async def _read(self, window: Window) -> ChartPage:
        as_of_ms = time.time_ns() // 1_000_000
        try:
            items = await self._queries.trending(window, CHART_ITEMS)
        except StoreUnavailableError as exc:
            chart = await self._last_good(window)
            if chart is None:
                raise unavailable() from exc
            page = ChartPage(chart, is_hit=True, degraded="stale")
            self._charts[window] = time.monotonic() + CHART_RETRY_SECONDS, page
            return page
        page = ChartPage(
            Chart(as_of_ms, [item.body for item in items]), is_hit=False, degraded="none"
        )
        self._charts[window] = time.monotonic() + CHART_FRESH_SECONDS, page
        await self._keep(window, page.chart)
        return page

    async def _keep(self, window: Window, chart: Chart) -> None:
        packed = msgspec.msgpack.encode(chart)
        try:
            await self._redis.run(
                lambda: self._redis.client.set(_key(window), packed, ex=self._kept_seconds)
            )
        except StoreUnavailableError:
            return

    async def _last_good(self, window: Window) -> Chart | None:
        known = self._charts.get(window)
        age_limit_ms = time.time_ns() // 1_000_000 - self._kept_seconds * 1000
        if known is not None and known[1].chart.as_of_ms > age_limit_ms:
            return known[1].chart
        try:
            packed = await self._redis.run(lambda: self._redis.client.get(_key(window)))
        except StoreUnavailableError:
            return None
        return msgspec.msgpack.decode(cast("bytes", packed), type=Chart) if packed else None


def _key(window: Window) -> str:
    return f"feed:reels-chart:v1:{window.value}"
