"""Ranked rows of reels from ClickHouse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from api.reels.addresses import Addresses
from api.reels.cards import Outline, decode_outline, reel_of
from api.settings import Settings
from api.snapshots.ranking import RankedItem
from api.stores import Breaker, ClickHouse, StoreUnavailableError
from api.surfaces.rows import instant, instant_of, rows_of, statements_in
from api.surfaces.schemas import Window

SQL = statements_in(Path(__file__).parent / "sql")


class Viewer(NamedTuple):
    """For whom to rank, and without what."""

    viewer_id: int
    variant: str
    shown: Sequence[int]


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

        A viewer may be named twice only with the same in every field. The caller holds a place for
        the statement. Raises `StoreUnavailableError`.
        """
        asked = {viewer.viewer_id: viewer for viewer in viewers}
        lines = await self.clickhouse.lines_in_place(
            SQL["feed"],
            {
                "viewer_ids": list(asked),
                "as_of": instant(instant_of(as_of_ms)),
                "variants": [viewer.variant for viewer in asked.values()],
                "shown": [list(viewer.shown) for viewer in asked.values()],
            },
            timeout_seconds,
        )
        rankings: dict[int, list[RankedItem]] = {viewer_id: [] for viewer_id in asked}
        try:
            for line in lines.splitlines():
                outline = decode_outline(line)
                rankings[outline.viewer_id].append(
                    RankedItem(outline.video_id, outline.score_ppm, outline.creator_id, line)
                )
        except msgspec.MsgspecError as exc:  # it went away in the middle of a line
            raise StoreUnavailableError(self.circuit.store) from exc
        return [rankings[viewer.viewer_id] for viewer in viewers]

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
        outline = Outline(
            video_id=row["video_id"],
            creator_id=row["creator_id"],
            score_ppm=row["score_ppm"],
            ranking_score=row["ranking_score"],
            source=row["source"],
        )
        return RankedItem(
            item_id=outline.video_id,
            height=outline.score_ppm,
            author_id=outline.creator_id,
            body=reel_of(outline, row, self._addresses),
        )
