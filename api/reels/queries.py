"""Ranked rows of reels from ClickHouse."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from api.reels.addresses import Addresses
from api.reels.cards import Outline, decode_outline, reel_of
from api.settings import Settings
from api.snapshots.ranking import RankedItem
from api.stores import Breaker, ClickHouse
from api.surfaces.rows import instant, instant_of, rows_of, statements_in
from api.surfaces.schemas import Window

SQL = statements_in(Path(__file__).parent / "sql")

# Of fewer videos a list is filled (count); `fill_below_videos` of dbt_project.yml.
FILLED_BELOW_VIDEOS = 50


class Viewer(NamedTuple):
    """For whom to rank, and without what."""

    viewer_id: int
    variant: str
    shown: Sequence[int] = ()


class ReelQueries:
    """One method per question; the statements are the files in `sql/`."""

    def __init__(self, clickhouse: ClickHouse, settings: Settings) -> None:
        self.clickhouse = clickhouse
        self._addresses = Addresses(settings)

    @property
    def circuit(self) -> Breaker:
        """The circuit that every query goes through."""
        return self.clickhouse.breaker

    async def rank(
        self, viewers: Sequence[Viewer], as_of_ms: int, timeout_seconds: float
    ) -> list[list[RankedItem]]:
        """
        Return the rankings of viewers at an instant, best first, without cards.

        The caller holds a place for the statement. Raises `StoreUnavailableError`.
        """
        deadline = time.monotonic() + timeout_seconds
        return [await self._ranked(viewer, as_of_ms, deadline) for viewer in viewers]

    async def _ranked(self, viewer: Viewer, as_of_ms: int, deadline: float) -> list[RankedItem]:
        parameters = {
            "viewer_id": viewer.viewer_id,
            "as_of": instant(instant_of(as_of_ms)),
            "variant": viewer.variant,
        }
        if viewer.shown:
            parameters["shown"] = list(viewer.shown)
        items: list[RankedItem] = []
        for name in ("feed_core", "feed"):
            lines = await self.clickhouse.lines_in_place(
                SQL[f"{name}_after" if viewer.shown else name],
                parameters,
                deadline - time.monotonic(),
            )
            items = [place_of(line) for line in lines.splitlines()]
            if len(items) >= FILLED_BELOW_VIDEOS:
                break
        return items

    async def recent_viewers(self, count: int) -> list[int]:
        """Return who watched something last, the latest first."""
        result = await self.clickhouse.query(SQL["recent_viewers"], {"limit": count})
        return list(result.result_set[0])

    async def trending(
        self, window: Window, limit: int, shown: Sequence[int] = ()
    ) -> list[RankedItem]:
        """Return the top of a window's chart, without what was shown."""
        return (await self._chart(window, limit, shown))[1]

    async def chart(self, window: Window, limit: int) -> tuple[datetime | None, list[RankedItem]]:
        """Return when a window's chart was counted, None of an empty one, and its top."""
        return await self._chart(window, limit, ())

    async def _chart(
        self, window: Window, limit: int, shown: Sequence[int]
    ) -> tuple[datetime | None, list[RankedItem]]:
        parameters: dict[str, Any] = {"window": window.value, "shown": list(shown), "limit": limit}
        rows = list(rows_of(await self.clickhouse.query(SQL["trending"], parameters)))
        counted_at: datetime | None = rows[0]["counted_at"] if rows else None
        return counted_at, [self._charted(row) for row in rows]

    def _charted(self, row: Mapping[str, Any]) -> RankedItem:
        outline = Outline(*(row[name] for name in Outline.__struct_fields__))
        return RankedItem(
            item_id=outline.video_id,
            height=outline.score_ppm,
            author_id=outline.creator_id,
            body=reel_of(outline, row, self._addresses),
        )


def place_of(line: bytes) -> RankedItem:
    """Return the place a line of a ranking is about, which is the body until it has a card."""
    outline = decode_outline(line)
    return RankedItem(
        item_id=outline.video_id,
        height=outline.score_ppm,
        author_id=outline.creator_id,
        body=line,
    )
