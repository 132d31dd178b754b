"""
Similar videos: found by an index, kept in Redis for a minute, cut by Postgres.

The index is ClickHouse's, or a vector database's, which knows ids alone: distances are exact, and
ClickHouse's, either way.

What is kept is the order. What is gone, or not the viewer's to see, leaves as the list is served.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple, cast

import msgspec
from clickhouse_connect.driver.query import QueryResult
from msgspec import Struct

from api.charts.reader import Charts
from api.errors import FieldError, NotFoundError
from api.optional import OptionalReads
from api.reels.addresses import Addresses
from api.reels.cards import Card, ReelCards, shown_of
from api.reels.schemas import Reel
from api.settings import Settings
from api.similar.schemas import Degraded, SimilarReel
from api.snapshots.store import now_ms
from api.snapshots.walk import Flights
from api.stores import ClickHouse, Postgres, RedisStore, Stores, StoreUnavailableError
from api.surfaces.rows import rows_of, statements_in
from api.surfaces.schemas import Window
from api.vectors import VectorIndex, VectorIndexError

FOLDER = Path(__file__).parent / "sql"
SQL = statements_in(FOLDER)
BLOCKED_CREATORS = statements_in(FOLDER / "postgres")["blocked_creators"]

INDEXES = (64, 128, 256, 512)  # dimensions of the tables raw.video_embeddings_*
CANDIDATES = 200  # of the index, so that enough are left when stale and hidden ones go (count)
PLACES = 100  # that are kept of a video (count)
FRESH_SECONDS = 60
BLOCKS_AT_ONCE = 4  # reads of a process (count)


class Place(Struct, frozen=True, array_like=True):
    """A similar video; add fields at the end only."""

    video_id: int
    creator_id: int
    similarity: float


class Found(Struct, frozen=True, array_like=True):
    """What is similar to a video, as of then; empty when where the video is is not known."""

    as_of_ms: int
    places: list[Place]


class Reference(NamedTuple):
    """Where a video is, by the version that is served."""

    model_version: str
    embedding: list[float]


class Answer(NamedTuple):
    """A list to be served, and how it came about."""

    reels: list[SimilarReel]
    as_of_ms: int
    is_hit: bool
    degraded: Degraded


class SimilarVideos:
    """Similar videos, of one process."""

    def __init__(
        self,
        stores: Stores,
        cards: ReelCards,
        charts: Charts,
        settings: Settings,
        index: VectorIndex | None = None,
    ) -> None:
        self._index = index
        self._clickhouse: ClickHouse = stores.clickhouse
        self._postgres: Postgres = stores.postgres
        self._redis: RedisStore = stores.redis
        self._cards = cards
        self._charts = charts
        self._addresses = Addresses(settings)
        self._flights = Flights()
        self._reads = OptionalReads[frozenset[int]](
            "similar_blocks", BLOCKS_AT_ONCE, settings.postgres_timeout_ms / 1000
        )

    async def to(self, video_id: int, viewer_id: int, limit: int) -> Answer:
        """
        Return what is similar to a video, the most similar first.

        Raises `NotFoundError` when there is no such public video, and a problem when there is
        nothing to serve.
        """
        found, is_hit, is_kept = await self._found(video_id)
        places = found.places if found else []
        cards = await self._known(video_id, [place.video_id for place in places])
        hidden = await self._hidden(viewer_id, (place.creator_id for place in places))
        reels = [
            self._similar(place, card)
            for place in places
            if place.creator_id not in hidden and (card := cards.get(place.video_id)) is not None
        ]
        if found and reels:
            degraded: Degraded = "none" if is_kept else "no_cache"
            return Answer(reels[:limit], found.as_of_ms, is_hit, degraded)
        return await self._trending(video_id, viewer_id, limit)

    async def close(self) -> None:
        """Let what is under way finish; each is bounded by its timeout."""
        await self._flights.land()
        await self._reads.close()
        if self._index is not None:
            await self._index.close()

    async def _found(self, video_id: int) -> tuple[Found | None, bool, bool]:
        """Return what is similar, whether Redis had it, and whether Redis is there."""
        key = f"similar:v1:{video_id}"
        is_kept = True
        try:
            packed = cast(
                "bytes | None", await self._redis.run(lambda: self._redis.client.get(key))
            )
        except StoreUnavailableError:
            packed, is_kept = None, False
        with contextlib.suppress(msgspec.MsgspecError):
            if packed:
                return msgspec.msgpack.decode(packed, type=Found), True, True
        try:
            found = await self._flights.join(video_id, lambda: self._looked_up(key, video_id))
        except StoreUnavailableError:
            return None, False, is_kept
        return found, False, is_kept

    async def _looked_up(self, key: str, video_id: int) -> Found:
        as_of_ms = now_ms()
        rows = list(rows_of(await self._clickhouse.query(SQL["reference"], {"video_id": video_id})))
        places: list[Place] = []
        if rows:
            reference = Reference(rows[0]["model_version"], list(rows[0]["embedding"]))
            nearest = await self._nearest(video_id, reference)
            places = [Place(**row) for row in rows_of(nearest)]
        found = Found(as_of_ms, places)
        # Without Redis the next one looks it up again.
        with contextlib.suppress(StoreUnavailableError):
            await self._redis.run(
                lambda: self._redis.client.set(key, msgspec.msgpack.encode(found), ex=FRESH_SECONDS)
            )
        return found

    async def _nearest(self, video_id: int, reference: Reference) -> QueryResult:
        """Return the places nearest to a vector, of those an index finds."""
        dimensions = next(one for one in INDEXES if one >= len(reference.embedding))
        parameters: dict[str, Any] = {
            "index": f"video_embeddings_{dimensions}",
            "model_version": reference.model_version,
            "reference": reference.embedding + [0.0] * (dimensions - len(reference.embedding)),
            "video_id": video_id,
            "video_ids": [],
            "candidates": CANDIDATES,
            "places": PLACES,
        }
        if self._index is not None:
            with contextlib.suppress(VectorIndexError):
                ids = await self._index.nearest(
                    reference.model_version, reference.embedding, CANDIDATES
                )
                if ids:
                    parameters |= {
                        "index": "video_embeddings",
                        "reference": reference.embedding,
                        "video_ids": ids,
                    }
        return await self._clickhouse.query(SQL["nearest"], parameters)

    async def _known(self, video_id: int, similar_ids: list[int]) -> dict[int, Card]:
        """Return cards of similar videos; raises `NotFoundError` when the video is not public."""
        cards = await self._cards.of([video_id, *similar_ids])
        if video_id not in cards.by_video:
            message = "no public video has this id"
            raise NotFoundError(f"item_id: {message}", errors=[FieldError("item_id", message)])
        return dict(cards.by_video)

    async def _hidden(self, viewer_id: int, creator_ids: Iterable[int]) -> frozenset[int]:
        """
        Return creators the viewer must not see: as Postgres has them, or what of that has landed.

        Raises `StoreUnavailableError` when neither can be asked.
        """
        parameters = {"viewer_id": viewer_id, "creator_ids": sorted(set(creator_ids))}
        if not parameters["creator_ids"]:
            return frozenset()

        async def read() -> frozenset[int]:
            rows = await self._postgres.rows(BLOCKED_CREATORS, parameters)
            return frozenset(row["creator_id"] for row in rows)

        try:
            return await self._reads.run(read)
        except StoreUnavailableError:
            rows = await self._clickhouse.query(SQL["blocked_creators"], {"viewer_id": viewer_id})
            return frozenset(row["creator_id"] for row in rows_of(rows))

    async def _trending(self, video_id: int, viewer_id: int, limit: int) -> Answer:
        """Return what trends, for a video of which nothing is known."""
        chart = await self._charts.top(Window.DAY, PLACES)
        reels = [msgspec.json.decode(body, type=Reel) for body in chart.bodies]
        hidden = await self._hidden(viewer_id, (int(reel.creator_id) for reel in reels))
        shown = [
            reel
            for reel in reels
            if int(reel.creator_id) not in hidden and int(reel.id) != video_id
        ]
        return Answer(
            [
                msgspec.convert(
                    {
                        **msgspec.structs.asdict(reel),
                        "similarity_score": None,
                        "source": "trending",
                    },
                    SimilarReel,
                )
                for reel in shown[:limit]
            ],
            chart.as_of_ms,
            chart.is_hit,
            "trending",
        )

    def _similar(self, place: Place, card: Card) -> SimilarReel:
        return SimilarReel(
            similarity_score=place.similarity,
            source="similar",
            **shown_of(place.video_id, place.creator_id, card, self._addresses),
        )
