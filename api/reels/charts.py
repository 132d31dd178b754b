"""The charts of short videos."""

from __future__ import annotations

from collections.abc import Sequence

from api.charts.reader import Charts, Counted
from api.counters.store import CounterStore
from api.reels.queries import ReelQueries
from api.reels.reader import live_reels
from api.settings import Settings
from api.stores import RedisStore
from api.surfaces.schemas import Window

CHART_ITEMS = 100  # count, GET /reels/trending


class ReelChartSource:
    """Charts of the videos that were played and reacted to most."""

    name = "reels"

    def __init__(self, queries: ReelQueries) -> None:
        self._queries = queries

    async def chart(self, window: Window) -> Counted:
        """Return a chart, top first."""
        counted_at, items = await self._queries.chart(window, CHART_ITEMS)
        return Counted(counted_at, [(item.item_id, item.body) for item in items])

    async def deleted(self, ids: Sequence[int]) -> frozenset[int]:
        """Return nothing: no operation deletes a video."""
        return frozenset()


class ReelCharts(Charts):
    """The charts of short videos."""

    def __init__(
        self, queries: ReelQueries, redis: RedisStore, counters: CounterStore, settings: Settings
    ) -> None:
        super().__init__(ReelChartSource(queries), live_reels(counters), redis, settings)
