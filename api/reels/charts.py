"""The charts of short videos."""

from __future__ import annotations

from api.charts.reader import Charts, ChartSource, Counted
from api.counters.store import CounterStore
from api.reels.queries import ReelQueries
from api.reels.reader import live_reels
from api.settings import Settings
from api.stores import RedisStore
from api.surfaces.schemas import Window

CHART_ITEMS = 100  # count, GET /reels/trending


class ReelChartSource(ChartSource):
    """Charts of the videos whose plays and reactions grew most."""

    name = "reels"

    def __init__(self, queries: ReelQueries) -> None:
        self._queries = queries

    async def chart(self, key: str) -> Counted:
        """Return the chart of a window, top first."""
        counted_at, items = await self._queries.chart(Window(key), CHART_ITEMS)
        return Counted(counted_at, [item.item_id for item in items], [item.body for item in items])


class ReelCharts(Charts):
    """The charts of short videos."""

    def __init__(
        self, queries: ReelQueries, redis: RedisStore, counters: CounterStore, settings: Settings
    ) -> None:
        super().__init__(ReelChartSource(queries), live_reels(counters), redis, settings)
