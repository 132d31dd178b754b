"""Which release of the ranking is served: a new one makes older first pages be ranked again."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import datetime
from pathlib import Path

import structlog

from api.stores import ClickHouse, StoreUnavailableError

POLL_SECONDS = 0.25  # one row; what a change of weights still waits for after dbt

LATEST_RELEASE = (Path(__file__).parent / "sql" / "latest_release.sql").read_text()

log = structlog.get_logger(__name__)


class ReleaseWatch:
    """Asks every `POLL_SECONDS`; keeps the last answer while ClickHouse is away."""

    def __init__(self, clickhouse: ClickHouse) -> None:
        self._clickhouse = clickhouse
        self._task: asyncio.Task[None] | None = None
        self.released_ms = 0

    async def start(self) -> None:
        """Look once, so that the first pages are of a known release; then begin to poll."""
        with contextlib.suppress(StoreUnavailableError):
            await self.look()
        self._task = asyncio.create_task(self._poll())

    async def stop(self) -> None:
        """End the polling."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            with contextlib.suppress(StoreUnavailableError):
                await self.look()

    async def look(self) -> None:
        """Read the latest release once."""
        result = await self._clickhouse.query_beside_breaker(LATEST_RELEASE)
        released_at: datetime = result.result_set[0][0]
        released_ms = round(released_at.timestamp() * 1000)
        if released_ms > self.released_ms:
            if self.released_ms:
                log.info("ranking_released", released_at=released_at.isoformat())
            self.released_ms = released_ms
