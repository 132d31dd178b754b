"""
What reels show beside their place in a ranking: their cards, read by key for what is shown.

A ranking has up to 500 places, a viewer looks at some of them, and 500 cards cost more than the
ranking. So an item of a ranking comes as an *outline*, what the ranking knows of it: a JSON array
where a reel is an object. The top of a ranking gets its cards as it is ranked, so that first pages
are sent as they are kept; what is below gets them when a page comes to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from api.counters.overlay import Counted
from api.optional import OptionalReads
from api.reels.addresses import Addresses
from api.reels.schemas import Reel
from api.settings import Settings
from api.snapshots.ranking import RankedItem
from api.stores import ClickHouse, Postgres, StoreUnavailableError
from api.surfaces.rows import rows_of, statements_in

FOLDER = Path(__file__).parent / "sql"
POSTGRES_CARDS = statements_in(FOLDER / "postgres")["reel_cards"]
CLICKHOUSE_CARDS = statements_in(FOLDER)["cards"]

CARDS_AT_ONCE = 4  # reads of cards of a process (count)
CARDS_TOGETHER = 2_000  # cards of one read (count)

Card = Mapping[str, Any]  # the columns of `sql/cards.sql`


class Cards(NamedTuple):
    """Cards by video, and whether their counters are Postgres' own of now."""

    by_video: Mapping[int, Card]
    are_counted: bool


class Outline(Struct, frozen=True, array_like=True):
    """What a ranking knows of a reel: the columns of `sql/feed.sql`."""

    video_id: int
    creator_id: int
    score_ppm: int
    ranking_score: float
    source: str
    viewer_id: int = 0


_encode = msgspec.json.Encoder().encode
decode_outline = msgspec.json.Decoder(Outline).decode


def is_outline(body: bytes) -> bool:
    """Say whether an item has no card yet."""
    return body.startswith(b"[")


def shown_of(video_id: int, creator_id: int, card: Card, addresses: Addresses) -> dict[str, Any]:
    """Return what every list shows of a video, by field; the list adds why it is there."""
    return {
        "id": str(video_id),
        "creator_id": str(creator_id),
        "title": card["title"],
        "duration_seconds": card["duration_seconds"],
        "completion_rate": card["completion_rate"],
        "created_at": card["created_at"],
        "thumbnail_url": addresses.media(card["thumbnail_url"]),
        "streaming_url": addresses.stream(video_id),
        "view_count": card["view_count"],
        "like_count": card["like_count"],
        "share_count": card["share_count"],
        "comment_count": card["comment_count"],
    }


def reel_of(outline: Outline, card: Card, addresses: Addresses) -> bytes:
    """Return a reel as the body of a ranked item."""
    return _encode(
        Reel(
            ranking_score=outline.ranking_score,
            source=outline.source,
            **shown_of(outline.video_id, outline.creator_id, card, addresses),
        )
    )


class ReelCards:
    """Cards from Postgres, whose counters are of now; from ClickHouse while it is away."""

    def __init__(self, postgres: Postgres, clickhouse: ClickHouse, settings: Settings) -> None:
        self._postgres = postgres
        self._clickhouse = clickhouse
        self._addresses = Addresses(settings)
        self._reads = OptionalReads[Cards](
            "reel_cards", CARDS_AT_ONCE, settings.cards_timeout_ms / 1000
        )

    async def hydrated(self, bodies: Sequence[bytes]) -> list[bytes]:
        """
        Return reels where outlines were, in their order, without videos that are gone by now.

        Raises `StoreUnavailableError` when neither store has the cards.
        """
        return [body for body in await self._whole(bodies) if body is not None]

    async def on(self, items: Sequence[RankedItem]) -> list[RankedItem]:
        """Return items of a ranking with their cards, as `hydrated` does."""
        bodies = await self._whole([item.body for item in items])
        return [
            item._replace(body=body)
            for item, body in zip(items, bodies, strict=True)
            if body is not None
        ]

    async def of(self, video_ids: Sequence[int]) -> Cards:
        """Return the cards of public videos; raises `StoreUnavailableError`."""
        by_video: dict[int, Card] = {}
        are_counted = True
        ids = list(dict.fromkeys(video_ids))
        for start in range(0, len(ids), CARDS_TOGETHER):
            cards = await self._read(ids[start : start + CARDS_TOGETHER])
            by_video |= cards.by_video
            are_counted &= cards.are_counted
        return Cards(by_video, are_counted)

    async def close(self) -> None:
        """Let reads under way finish; each is bounded by the timeout of Postgres."""
        await self._reads.close()

    async def _whole(self, bodies: Sequence[bytes]) -> list[bytes | None]:
        """Return reels where outlines were; None for videos that are gone."""
        outlines = {body: decode_outline(body) for body in bodies if is_outline(body)}
        if not outlines:
            return list(bodies)
        cards = await self.of([outline.video_id for outline in outlines.values()])
        reels = {
            body: reel_of(outline, card, self._addresses)
            for body, outline in outlines.items()
            if (card := cards.by_video.get(outline.video_id)) is not None
        }
        if cards.are_counted:
            reels = {body: Counted(reel) for body, reel in reels.items()}
        return [reels.get(body) if body in outlines else body for body in bodies]

    async def _read(self, video_ids: list[int]) -> Cards:
        parameters = {"video_ids": video_ids}
        try:
            return await self._reads.run(lambda: self._from_postgres(parameters))
        except StoreUnavailableError:
            rows = rows_of(await self._clickhouse.query(CLICKHOUSE_CARDS, parameters))
            return Cards({row["video_id"]: row for row in rows}, are_counted=False)

    async def _from_postgres(self, parameters: Mapping[str, Any]) -> Cards:
        rows = await self._postgres.rows(POSTGRES_CARDS, parameters)
        return Cards({row["video_id"]: row for row in rows}, are_counted=True)
