"""
Which release of the ranking is served: a new one makes older first pages be ranked again, and
changes what the serving views say.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import structlog

from api.snapshots.watch import Watch
from api.stores import ClickHouse

SQL = Path(__file__).parent / "sql"
LATEST_RELEASE = (SQL / "latest_release.sql").read_text()
VIEW_TEXTS = (SQL / "view_texts.sql").read_text()

log = structlog.get_logger(__name__)


class ReleaseWatch(Watch):
    """Knows when the ranking that is served was released (milliseconds since 1970)."""

    def __init__(self, clickhouse: ClickHouse) -> None:
        super().__init__()
        self._clickhouse = clickhouse
        self.released_ms = 0
        self._views_version = ""

    async def look(self) -> None:
        """Read the latest release once, and the serving views if one of them is new."""
        result = await self._clickhouse.query_beside_breaker(LATEST_RELEASE)
        released_at: datetime = result.result_set[0][0]
        await self._read_views(result.result_set[1][0])
        released_ms = round(released_at.timestamp() * 1000)
        if released_ms > self.released_ms:
            if self.released_ms:
                log.info("ranking_released", released_at=released_at.isoformat())
            self.released_ms = released_ms

    async def _read_views(self, version: str) -> None:
        if version != self._views_version:
            result = await self._clickhouse.query_beside_breaker(VIEW_TEXTS)
            self._clickhouse.views.learn(dict(zip(*result.result_set, strict=True)))
            self._views_version = version
