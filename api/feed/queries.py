"""Ranked rows of posts: from ClickHouse, and from Postgres while that is away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from api.feed.schemas import FeedPost
from api.optional import OptionalReads
from api.settings import Settings
from api.snapshots.ranking import RankedItem
from api.stores import Breaker, Postgres
from api.surfaces.rows import RankedQueries, statements_in

SQL = statements_in(Path(__file__).parent / "sql")
POSTGRES_SQL = statements_in(Path(__file__).parent / "sql" / "postgres")

# Of one process (count): while ClickHouse is away every first page asks, and writes need
# connections, too.
TIMELINES_AT_ONCE = 3

_encoder = msgspec.json.Encoder()


class PostQueries(RankedQueries):
    """The posts feed in ClickHouse."""

    statements = SQL

    def item_of(self, row: Mapping[str, Any]) -> RankedItem:
        """Return the place of a row."""
        return RankedItem(
            item_id=row["post_id"],
            height=row["score_ppm"],
            author_id=row["author_id"],
            body=_encoder.encode(post_of(row, score=row["score"])),
        )


class TimelineQueries:
    """The posts feed in Postgres: not scored, at most a few queries at a time."""

    def __init__(self, postgres: Postgres, settings: Settings) -> None:
        self._postgres = postgres
        self._reads = OptionalReads[list[RankedItem]](
            "timeline", TIMELINES_AT_ONCE, settings.timeline_timeout_ms / 1000
        )

    @property
    def circuit(self) -> Breaker:
        """The circuit that every query goes through."""
        return self._reads.circuit

    async def timeline(
        self,
        viewer_id: int,
        as_of: datetime,
        trending_ids: Sequence[int],
        shown: Sequence[int],
        posts: int,
    ) -> list[RankedItem]:
        """Return a viewer's timeline without what was shown; raises `StoreUnavailableError`."""
        parameters = {
            "viewer_id": viewer_id,
            "as_of": as_of,
            "trending_ids": list(trending_ids),
            "shown": list(shown),
            "posts": posts,
        }
        return await self._reads.run(lambda: self._items(parameters))

    async def close(self) -> None:
        """Let queries under way finish; each is bounded by the timeout of Postgres."""
        await self._reads.close()

    async def _items(self, parameters: Mapping[str, Any]) -> list[RankedItem]:
        rows = await self._postgres.rows(POSTGRES_SQL["timeline"], parameters)
        return [
            RankedItem(
                item_id=row["post_id"],
                height=row["height"],
                author_id=row["author_id"],
                body=_encoder.encode(post_of(row, score=None)),
            )
            for row in rows
        ]


def post_of(row: Mapping[str, Any], *, score: float | None) -> FeedPost:
    """Return the post of a row."""
    return FeedPost(
        post_id=str(row["post_id"]),
        author_id=str(row["author_id"]),
        created_at=row["created_at"],
        score=score,
        source=row["source"],
        likes=row["likes"],
        comments=row["comments"],
        shares=row["shares"],
        exposures=row["exposures"],
        dwell_ms_sum=row["dwell_ms_sum"],
    )
