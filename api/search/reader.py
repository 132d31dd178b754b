"""
Pages of what answers a query.

A page is searched anew below the last one's end, among videos that were published when the first
was asked for: while nothing is published, deleted or counted anew, pages never repeat or skip.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from api.counters.overlay import Counted, Overlay
from api.counters.store import CounterStore
from api.counters.tail import Tail
from api.cursor import CursorCodec, SearchPlace, bad_cursor, fingerprint_of
from api.metrics import FEED_PAGES
from api.reels.addresses import Addresses
from api.reels.cards import Card, ReelCards, shown_of
from api.reels.schemas import COUNTERS
from api.search.queries import Found, SearchQueries, Terms
from api.search.schemas import Criteria, Degraded, FoundReel
from api.settings import Settings
from api.snapshots.store import now_ms
from api.snapshots.walk import unavailable
from api.stores import StoreUnavailableError

# A query that finds fewer was misspelled, or asks for too much at once (videos).
FEW = 5

_encode = msgspec.json.Encoder().encode


class FoundPage(NamedTuple):
    """A page, and how it came about."""

    bodies: Sequence[bytes]
    next_cursor: str | None
    as_of_ms: int
    corrected_query: str | None
    degraded: Degraded


class Answer(NamedTuple):
    """What was found, and by which search."""

    found: list[Found]
    correction: str = ""
    is_relaxed: bool = False
    is_stand_in: bool = False


class Search:
    """Searches of one process."""

    def __init__(
        self,
        queries: SearchQueries,
        cards: ReelCards,
        counters: CounterStore,
        cursors: CursorCodec,
        settings: Settings,
    ) -> None:
        self._queries = queries
        self._cards = cards
        self._overlay = Overlay(counters, "video", Tail(FoundReel, COUNTERS))
        self._cursors = cursors
        self._addresses = Addresses(settings)

    async def page(
        self, viewer_id: int, criteria: Criteria, limit: int, cursor: str | None
    ) -> FoundPage:
        """Return a page, the first one without a cursor; raises a problem."""
        search = _encode(criteria)
        place = None if cursor is None else self._cursors.decode_search(cursor, viewer_id, search)
        as_of_ms = now_ms() if place is None else place.as_of_ms
        try:
            # The extra one tells whether there is another page.
            answer = await self._answer(viewer_id, criteria, as_of_ms, place, limit + 1)
            bodies = await self._bodies(answer.found[:limit])
        except StoreUnavailableError as exc:
            raise unavailable() from exc
        degraded: Degraded = "postgres" if answer.is_stand_in else "none"
        FEED_PAGES.labels("reels-search", degraded, "false").inc()
        next_cursor = None
        if len(answer.found) > limit:
            last = answer.found[limit - 1]
            next_cursor = self._cursors.encode_search(
                SearchPlace(
                    as_of_ms=as_of_ms,
                    relevance_ppm=last.relevance_ppm,
                    published_at_ms=round(last.published_at.timestamp() * 1000),
                    video_id=last.video_id,
                    correction=fingerprint_of(answer.correction),
                    is_relaxed=answer.is_relaxed,
                    is_stand_in=answer.is_stand_in,
                ),
                viewer_id,
                search,
            )
        return FoundPage(bodies, next_cursor, as_of_ms, answer.correction or None, degraded)

    async def close(self) -> None:
        """Let reads under way finish."""
        await self._queries.close()

    async def _answer(
        self,
        viewer_id: int,
        criteria: Criteria,
        as_of_ms: int,
        place: SearchPlace | None,
        places: int,
    ) -> Answer:
        """
        Return what is found behind a place.

        A walk goes on in the store it began in: the other one has another order.
        """
        if place is None or not place.is_stand_in:
            try:
                return await in_clickhouse(
                    self._queries, criteria, viewer_id, as_of_ms, place, places
                )
            except StoreUnavailableError:
                if place is not None:
                    raise
        found = await self._queries.in_postgres(criteria, viewer_id, as_of_ms, place, places)
        return Answer(found, is_stand_in=True)

    async def _bodies(self, found: Sequence[Found]) -> list[bytes]:
        """Return what is shown of videos, without those that are gone by now."""
        cards = await self._cards.of([one.video_id for one in found])
        bodies = [
            self._body(one, card)
            for one in found
            if (card := cards.by_video.get(one.video_id)) is not None
        ]
        if cards.are_counted:
            return [Counted(body) for body in bodies]
        return await self._overlay.live(bodies)

    def _body(self, found: Found, card: Card) -> bytes:
        return _encode(
            FoundReel(
                relevance_score=found.relevance_ppm / 1_000_000,
                **shown_of(found.video_id, found.creator_id, card, self._addresses),
            )
        )


async def in_clickhouse(
    queries: SearchQueries,
    criteria: Criteria,
    viewer_id: int,
    as_of_ms: int,
    place: SearchPlace | None,
    places: int,
) -> Answer:
    """
    Return what ClickHouse finds behind a place; raises `StoreUnavailableError`.

    A first page with few videos is searched a second time: with unknown words corrected, and for
    its rarest word however many have it. Later pages are as the first one was.
    """
    query = criteria.query

    async def reels(terms: Terms) -> list[Found]:
        if not terms.asked_tokens:
            return []
        return await queries.reels(terms, criteria, viewer_id, as_of_ms, place, places)

    correction = ""
    if place is None or not place.is_relaxed:
        terms = await queries.terms(query, "", is_relaxed=False)
        found = await reels(terms)
        if place is not None or len(found) >= min(FEW, places):
            return Answer(found)
        correction = "" if terms.are_known else await queries.correction(query)
        if not correction and terms.scarce_tokens:
            return Answer(found)  # the rarest word has been looked for
    else:
        correction = await queries.correction(query)
        if fingerprint_of(correction) != place.correction:
            # The vocabulary has changed meanwhile, and with it what the walk is through.
            raise bad_cursor("expired", "cursor")
    found = await reels(await queries.terms(query, correction, is_relaxed=True))
    return Answer(found, correction, is_relaxed=True)
