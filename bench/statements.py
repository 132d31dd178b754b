"""Statements that are measured: the API's own, and those they are measured against."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from msgspec import Struct, structs

from api.reels.queries import SQL, ReelQueries, Viewer
from api.settings import Settings
from api.snapshots.releases import ReleaseWatch
from api.stack.dbt import dbt
from api.stores import ClickHouse
from api.surfaces.rows import instant, rows_of

FOLDER = "analyses"
VARIANT = "default"
TIMEOUT_MS = 30_000  # a slow query is measured, not given up


class Asked(Struct, frozen=True):
    """One statement that was answered: milliseconds, and its rows."""

    latency_ms: float
    rows: list[dict[str, Any]]


class Asking(ClickHouse):
    """ClickHouse as the API asks it, which remembers the last ranking it was asked for."""

    last: tuple[str, Mapping[str, Any]] = ("", {})

    async def _query_lines(self, sql: str, parameters: Mapping[str, Any]) -> bytes:
        self.last = sql, parameters
        return await super()._query_lines(sql, parameters)

    async def rows_read(self) -> int:
        """Ask the last ranking again, in a form that tells how many rows it reads."""
        result = await self._query(*self.last)
        return int(result.summary["read_rows"])

    async def ask(self, sql: str, parameters: Mapping[str, Any]) -> Asked:
        """Ask for something on the same connection and with the same settings as the API."""
        began = time.perf_counter()
        result = await self._query(sql, parameters)
        latency_ms = (time.perf_counter() - began) * 1000
        return Asked(latency_ms, list(rows_of(result)))


class Reels:
    """Rankings of reels as the API asks for them."""

    def __init__(self, settings: Settings) -> None:
        settings = structs.replace(settings, clickhouse_timeout_ms=TIMEOUT_MS)
        self.clickhouse = Asking(settings)
        self._queries = ReelQueries(self.clickhouse, settings)
        # Serving views are sent as what they say; the watch learns it.
        self._releases = ReleaseWatch(self.clickhouse)

    async def __aenter__(self) -> Reels:
        """Learn what serving views say."""
        await self._releases.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close."""
        await self._releases.stop()
        await self.clickhouse.close()

    async def ranked(self, viewer_id: int, as_of: datetime) -> Asked:
        """Rank for one viewer, as a page does that is not there yet."""
        began = time.perf_counter()
        async with self.clickhouse.place():
            (items,) = await self._queries.rank(
                [Viewer(viewer_id, VARIANT, [])],
                round(as_of.timestamp() * 1000),
                TIMEOUT_MS / 1000,
            )
        latency_ms = (time.perf_counter() - began) * 1000
        rows = [{"video_id": item.item_id, "score_ppm": item.height} for item in items]
        return Asked(latency_ms, rows)

    async def rows_read(self) -> int:
        """Return how many rows the last ranking read (count)."""
        return await self.clickhouse.rows_read()


def ranking_of_reels(viewer_id: int, as_of: datetime) -> tuple[str, dict[str, Any]]:
    """Return what the API asks for when a first page is ranked, for one viewer."""
    parameters = {
        "viewer_ids": [viewer_id],
        "as_of": instant(as_of),
        "variants": [VARIANT],
        "shown": [[]],
    }
    return SQL["feed"], parameters


def for_viewer(viewer_id: int, as_of: datetime) -> dict[str, Any]:
    """Return the parameters of a ranking."""
    return {"viewer_id": viewer_id, "as_of": instant(as_of), "variant": VARIANT}


def compiled(settings: Settings, names: Sequence[str], folder: Path) -> Mapping[str, str]:
    """
    Return statements of `analyses` as dbt makes them; raises `RuntimeError` when it does not.

    They are written with the macros and vars of the ranking, so that no number stands twice.
    """
    target = folder / "dbt"
    ended = dbt(
        ["compile", "--quiet", "--select", *names],
        settings.clickhouse_url,
        target_path=target,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    if ended.returncode:
        raise RuntimeError(f"dbt compile failed: {ended.stdout.decode(errors='replace')[-2000:]}")
    made = target / "compiled" / "nova_feed" / FOLDER
    return {name: (made / f"{name}.sql").read_text() for name in names}
