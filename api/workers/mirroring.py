"""
Mirroring: the embeddings that are served are in the vector database, too, when there is one.

From ClickHouse, as they are computed; all of them when the version is new there or has fewer videos
than ClickHouse has. How far it is, is kept in Redis: when that is lost, all is copied again, which
changes nothing. Videos that were deleted stay in the copy; who reads ids asks which are public.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import aiohttp
import msgspec
import structlog
from clickhouse_connect.driver.exceptions import ClickHouseError
from structlog.typing import FilteringBoundLogger

from api.settings import Settings
from api.stores import Stores, StoreUnavailableError
from api.surfaces.rows import instant, statements_in
from api.vectors import VectorIndex, VectorIndexError, vector_index
from api.vectors.reports import EPOCH, REPORT_KEY, MirrorReport
from api.workers.clickhouse import WorkerClickHouse, aware
from api.workers.stopping import ended, until_told

FOLDER = Path(__file__).parents[1] / "vectors" / "sql"
SQL = statements_in(FOLDER)
ACTIVE_MODEL = statements_in(FOLDER / "postgres")["active_model"]

AT_ONCE_VIDEOS = 1_000  # of one call (count)
CALL_SECONDS = 30.0
LOOK_SECONDS = 2.0
AWAY_SECONDS = 5.0
# An embedding is stored up to so long after the time it says it was computed.
LATE = timedelta(minutes=5)
LATE_LOOK_SECONDS = 300.0
NICENESS = 10  # requests come first

# What passes by itself: a store that restarts, is busy, or has not been migrated yet.
TRANSIENT = (StoreUnavailableError, ClickHouseError, aiohttp.ClientError, OSError, VectorIndexError)

log: FilteringBoundLogger = structlog.get_logger("nova.mirroring")


class Mirror:
    """Copies what is new of the served version."""

    def __init__(self, settings: Settings, index: VectorIndex, stop: asyncio.Event) -> None:
        self.index = index
        self.stop = stop
        self.stores = Stores(settings)
        self._clickhouse = WorkerClickHouse(settings.clickhouse_url)
        # The version this worker copies, None before it has compared how much of it is there.
        self._version: str | None = None
        self._late_at = 0.0  # when to look for late ones again, by the clock of the loop

    async def close(self) -> None:
        """Hang up everywhere."""
        await asyncio.gather(
            self.index.close(),
            self._clickhouse.close(),
            self.stores.close(),
            return_exceptions=True,
        )

    async def run_once(self) -> int:
        """Copy what is new; returns how many embeddings. Raises `TRANSIENT`."""
        rows = await self.stores.postgres.rows(ACTIVE_MODEL, {})
        if not rows:
            return 0
        version: str = rows[0]["model_version"]
        report = await self._kept(version)
        try:
            if version != self._version:
                if await self._lacks_some(version):
                    report.until = EPOCH
                self._version = version
            copied = await self._copy(version, report)
        except VectorIndexError:
            report.failures += 1
            # It may have lost what it had.
            self._version = None
            raise
        finally:
            await self._keep(version, report)
        if copied:
            log.info("embeddings are copied", model_version=version, videos=copied)
        return copied

    async def _copy(self, version: str, report: MirrorReport) -> int:
        """Copy what was computed after `report.until`, and moves it on when all of that is done."""
        now = asyncio.get_running_loop().time()
        is_late_look = now >= self._late_at
        since = max(report.until - LATE, EPOCH) if is_late_look else report.until
        until, from_id, copied = report.until, 0, 0
        while not self.stop.is_set():
            rows = await self._clickhouse.rows(
                SQL["next_embeddings"],
                {
                    "model_version": version,
                    "from_id": from_id,
                    "since": instant(since),
                    "videos": AT_ONCE_VIDEOS,
                },
            )
            await self.index.upsert(version, {video_id: vector for video_id, vector, _ in rows})
            copied += len(rows)
            report.copied += len(rows)
            until = max([until, *(aware(computed_at) for _, _, computed_at in rows)])
            if len(rows) < AT_ONCE_VIDEOS:
                report.until = until
                if is_late_look:
                    self._late_at = now + LATE_LOOK_SECONDS
                break
            from_id = rows[-1][0] + 1
        return copied

    async def _lacks_some(self, version: str) -> bool:
        """Say whether the copy has fewer videos than there are."""
        rows = await self._clickhouse.rows(SQL["embedded_videos"], {"model_version": version})
        return await self.index.count(version) < int(rows[0][0])

    async def _kept(self, version: str) -> MirrorReport:
        """Return how far a version is; nowhere, when Redis does not know."""

        async def read() -> bytes | None:
            return cast("bytes | None", await self.stores.redis.client.hget(REPORT_KEY, version))

        with contextlib.suppress(StoreUnavailableError, msgspec.MsgspecError):
            if told := await self.stores.redis.run(read):
                return msgspec.json.decode(told, type=MirrorReport)
        return MirrorReport()

    async def _keep(self, version: str, report: MirrorReport) -> None:
        """Remember how far a version is; when Redis does not, all is copied again."""

        async def tell() -> Any:
            return await self.stores.redis.client.hset(
                REPORT_KEY, version, cast("Any", msgspec.json.encode(report))
            )

        with contextlib.suppress(StoreUnavailableError):
            await self.stores.redis.run(tell)


async def work(settings: Settings, stop: asyncio.Event) -> None:
    """Copy until `stop` is set; a store that is away is asked again."""
    index = vector_index(settings, CALL_SECONDS)
    if index is None:
        log.error("NOVA_MILVUS_URL is not set: this worker has nothing to do")
        return
    mirror = Mirror(settings, index, stop)
    try:
        await mirror.stores.postgres.open()
        while not stop.is_set():
            try:
                await mirror.run_once()
            except TRANSIENT as exc:
                log.warning(
                    "a store is away, trying again",
                    error=type(exc).__name__,
                    reason=str(exc).partition("\n")[0][:300],
                )
                await ended(stop, AWAY_SECONDS)
            else:
                await ended(stop, LOOK_SECONDS)
    finally:
        await mirror.close()


def main() -> int:
    """Run until SIGTERM or SIGINT."""
    # The service's log format, without making callers of these functions load the service.
    from api.logging import configure_logging

    settings = Settings.from_environ()
    configure_logging(settings)
    os.nice(NICENESS)
    asyncio.run(until_told(work, settings))
    return 0


if __name__ == "__main__":
    sys.exit(main())
