"""
Charts: those of every surface are read ahead, so that no request waits for ClickHouse.

ClickHouse counts them by its own clock (macros/materializations/refreshed_table.sql); this takes
them from there to Redis, where every process of the service finds them. What cannot be read is
tried again in the next round, and Redis keeps the last good one. Two at once are harmless.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

import structlog
from structlog.typing import FilteringBoundLogger

from api.charts.reader import Charts
from api.counters.store import CounterStore
from api.feed.charts import PostCharts
from api.reels.charts import ReelCharts
from api.reels.queries import ReelQueries
from api.settings import Settings
from api.stores import Stores
from api.trending.charts import uses_charts
from api.workers.stopping import ended, until_told

# Far below the minute for which a chart is fresh: between a reaction and the chart it is on there
# are ClickHouse's interval, this one and the copies of the service, and that is to be a minute.
EVERY_SECONDS = 5.0

log: FilteringBoundLogger = structlog.get_logger("nova.charts")


async def refresh(surfaces: Sequence[Charts]) -> int:
    """Read every chart that is due; returns how many could not be read."""
    return sum([await charts.refresh_all() for charts in surfaces])


async def work(settings: Settings, stop: asyncio.Event) -> None:
    """Refresh until `stop` is set; says when charts can no longer be read, and when again."""
    stores = Stores(settings)
    counters = CounterStore(stores.redis, stores.postgres, settings)
    surfaces = [
        ReelCharts(ReelQueries(stores.clickhouse, settings), stores.redis, counters, settings),
        PostCharts(stores.clickhouse, stores.postgres, stores.redis, counters, settings),
        *uses_charts(stores, settings),
    ]
    failed_before = 0
    try:
        while not stop.is_set():
            failed = await refresh(surfaces)
            if failed and not failed_before:
                log.warning("charts cannot be read", charts=failed)
            elif failed_before and not failed:
                log.info("charts are read again")
            failed_before = failed
            await ended(stop, EVERY_SECONDS)
    finally:
        await stores.close()


def main() -> int:
    """Run until SIGTERM or SIGINT."""
    # The service's log format, without making callers of these functions load it.
    from api.logging import configure_logging

    settings = Settings.from_environ()
    configure_logging(settings)
    asyncio.run(until_told(work, settings))
    return 0


if __name__ == "__main__":
    sys.exit(main())
