"""Reels as rankings to walk through."""

from __future__ import annotations

from collections.abc import Sequence

from api.counters.overlay import Overlay
from api.counters.store import CounterStore
from api.counters.tail import Tail
from api.cursor import CursorCodec, Surface
from api.reels.cards import ReelCards
from api.reels.queries import ReelQueries
from api.reels.ranking import ReelRanking
from api.reels.schemas import COUNTERS, Reel, ReelsAlgorithm
from api.snapshots.ranking import Ranked, Rankings
from api.snapshots.store import now_ms
from api.snapshots.walk import Walks
from api.surfaces.reader import FeedReader
from api.surfaces.schemas import Window

FEED_WINDOW = Window.DAY  # what `algo=trending` ranks by
FEED_ITEMS = 500  # count, one ranking of `algo=trending`


class TrendingRanking:
    """`algo=trending`: the chart of the day, the same for everyone."""

    surface = Surface.REELS_TRENDING

    def __init__(self, queries: ReelQueries) -> None:
        self.circuit = queries.circuit
        self._queries = queries

    async def ranked(
        self, viewer_id: int, as_of_ms: int | None, variant: str, shown: Sequence[int]
    ) -> Ranked:
        """Return the chart without what was shown; it has no clock or variant of its own."""
        items = await self._queries.trending(FEED_WINDOW, FEED_ITEMS, shown)
        return Ranked(now_ms() if as_of_ms is None else as_of_ms, items)


def live_reels(counters: CounterStore) -> Overlay:
    """Return what puts live counters on reels."""
    return Overlay(counters, "video", Tail(Reel, COUNTERS))


def reels_feed(
    queries: ReelQueries,
    cards: ReelCards,
    walks: Walks,
    cursors: CursorCodec,
    counters: CounterStore,
) -> FeedReader[ReelsAlgorithm]:
    """Return the feed of reels."""
    rankings: dict[ReelsAlgorithm, Rankings] = {
        ReelsAlgorithm.CH: [ReelRanking(queries, cards)],
        ReelsAlgorithm.TRENDING: [TrendingRanking(queries)],
    }
    overlay = live_reels(counters)
    return FeedReader(rankings, overlay, walks, cursors, cards.hydrated, overlay.near())
