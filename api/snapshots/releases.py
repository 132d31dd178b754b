"""Which release of the ranking is served: a new one makes older first pages be ranked again."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import structlog

from api.snapshots.watch import Watch
from api.stores import ClickHouse

LATEST_RELEASE = (Path(__file__).parent / "sql" / "latest_release.sql").read_text()

log = structlog.get_logger(__name__)


class ReleaseWatch(Watch):
    """Knows when the ranking that is served was released (milliseconds since 1970)."""

    def __init__(self, clickhouse: ClickHouse) -> None:
        super().__init__()
        self._clickhouse = clickhouse
        self.released_ms = 0

    async def look(self) -> None:
        """Read the latest release once."""
        result = await self._clickhouse.query_beside_breaker(LATEST_RELEASE)
        released_at: datetime = result.result_set[0][0]
        released_ms = round(released_at.timestamp() * 1000)
        if released_ms > self.released_ms:
            if self.released_ms:
                log.info("ranking_released", released_at=released_at.isoformat())
            self.released_ms = released_ms
