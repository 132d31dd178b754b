"""Ranked rows of reels from ClickHouse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from api.reels.addresses import Addresses
from api.reels.schemas import Reel
from api.settings import Settings
from api.snapshots.ranking import RankedItem
from api.stores import ClickHouse
from api.surfaces.rows import RankedQueries, instant, rows_of, statements_in
from api.surfaces.schemas import Window

SQL = statements_in(Path(__file__).parent / "sql")

# Of fewer videos a list is filled (count); `fill_below_videos` of dbt_project.yml.
FILLED_BELOW_VIDEOS = 50

_encoder = msgspec.json.Encoder()


class ReelQueries(RankedQueries):
    """One method per file in `sql/`."""

    statements = SQL

    def __init__(self, clickhouse: ClickHouse, settings: Settings) -> None:
        super().__init__(clickhouse)
        self._addresses = Addresses(settings)

    async def feed(
        self, viewer_id: int, as_of: datetime, variant: str, shown: Sequence[int]
    ) -> list[RankedItem]:
        """
        Return the viewer's ranking without what was shown, best first.

        Most viewers' lists need no filling, and are ranked for two thirds of the cost without it;
        the others' are ranked again with it.
        """
        ranked = {"viewer_id": viewer_id, "as_of": instant(as_of), "variant": variant}
        core = (
            await self.items("feed_core_after", **ranked, shown=list(shown))
            if shown
            else await self.items("feed_core", **ranked)
        )
        if len(core) >= FILLED_BELOW_VIDEOS:
            return core
        return await super().feed(viewer_id, as_of, variant, shown)

    async def trending(
        self, window: Window, limit: int, shown: Sequence[int] = ()
    ) -> list[RankedItem]:
        """Return the top of a window's chart, without what was shown."""
        return await self.items("trending", window=window.value, shown=list(shown), limit=limit)

    async def chart(self, window: Window, limit: int) -> tuple[datetime | None, list[RankedItem]]:
        """Return when a window's chart was counted, None of an empty one, and its top."""
        parameters: dict[str, Any] = {"window": window.value, "shown": [], "limit": limit}
        rows = list(rows_of(await self._clickhouse.query(SQL["trending"], parameters)))
        counted_at: datetime | None = rows[0]["counted_at"] if rows else None
        return counted_at, [self.item_of(row) for row in rows]

    def item_of(self, row: Mapping[str, Any]) -> RankedItem:
        """Return the place of a row."""
        return RankedItem(
            item_id=row["video_id"],
            height=row["score_ppm"],
            author_id=row["creator_id"],
            body=_encoder.encode(self._reel(row)),
        )

    def _reel(self, row: Mapping[str, Any]) -> Reel:
        return Reel(
            id=str(row["video_id"]),
            creator_id=str(row["creator_id"]),
            title=row["title"],
            duration_seconds=row["duration_seconds"],
            completion_rate=row["completion_rate"],
            ranking_score=row["ranking_score"],
            source=row["source"],
            created_at=row["created_at"],
            thumbnail_url=self._addresses.media(row["thumbnail_url"]),
            streaming_url=self._addresses.stream(row["video_id"]),
            view_count=row["view_count"],
            like_count=row["like_count"],
            share_count=row["share_count"],
            comment_count=row["comment_count"],
        )
