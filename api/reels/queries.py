"""Ranked rows of reels from ClickHouse; the order and the scores are the database's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from clickhouse_connect.driver.query import QueryResult

from api.reels.schemas import Reel, Window
from api.settings import Settings
from api.snapshots.ranking import RankedItem
from api.stores import ClickHouse

SQL = {path.stem: path.read_text() for path in (Path(__file__).parent / "sql").glob("*.sql")}

_encoder = msgspec.json.Encoder()


class ReelQueries:
    """One method per file in `sql/`."""

    def __init__(self, clickhouse: ClickHouse, settings: Settings) -> None:
        self._clickhouse = clickhouse
        self._stream_url = f"{settings.public_base_url.rstrip('/')}/api/v1/reels/stream/"
        self._media_url = settings.media_base_url.rstrip("/") + "/"

    async def feed(self, viewer_id: int, as_of: datetime, variant: str) -> list[RankedItem]:
        """Return the viewer's ranking."""
        return await self._items("feed", viewer_id=viewer_id, as_of=instant(as_of), variant=variant)

    async def feed_after(
        self, viewer_id: int, as_of: datetime, variant: str, shown: Sequence[int]
    ) -> list[RankedItem]:
        """Return the viewer's ranking without what was shown."""
        return await self._items(
            "feed_after",
            viewer_id=viewer_id,
            as_of=instant(as_of),
            variant=variant,
            shown=list(shown),
        )

    async def trending(
        self, window: Window, limit: int, shown: Sequence[int] = ()
    ) -> list[RankedItem]:
        """Return the top of a window's chart, without what was shown."""
        return await self._items("trending", window=window.value, shown=list(shown), limit=limit)

    async def _items(self, statement: str, **parameters: Any) -> list[RankedItem]:
        result = await self._clickhouse.query(SQL[statement], parameters)
        return [
            RankedItem(
                item_id=row["video_id"],
                score_ppm=row["score_ppm"],
                author_id=row["creator_id"],
                body=_encoder.encode(self._reel(row)),
            )
            for row in rows_of(result)
        ]

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
            thumbnail_url=self._media(row["thumbnail_url"]),
            streaming_url=f"{self._stream_url}{row['video_id']}",
            view_count=row["view_count"],
            like_count=row["like_count"],
            share_count=row["share_count"],
            comment_count=row["comment_count"],
        )

    def _media(self, address: str) -> str | None:
        """Return an absolute address: stored ones may be relative to the media server."""
        if not address:
            return None
        if address.startswith(("http://", "https://")):
            return address
        return self._media_url + address.lstrip("/")


def rows_of(result: QueryResult) -> Iterator[dict[str, Any]]:
    """Yield the rows of a result that came columns first."""
    names = result.column_names
    for values in zip(*result.result_set, strict=True):
        yield dict(zip(names, values, strict=True))


def instant(at: datetime) -> str:
    """Return a time the way a DateTime64(3, 'UTC') parameter takes it."""
    return at.strftime("%Y-%m-%d %H:%M:%S.") + f"{at.microsecond // 1000:03d}"
