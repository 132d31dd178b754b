"""Reels ranked for viewers: those who ask at the same time in one statement, with their cards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from api.cursor import Surface
from api.gathering import Gathering
from api.metrics import RANKED_TOGETHER
from api.reels.cards import ReelCards
from api.reels.queries import ReelQueries, Viewer
from api.snapshots.ranking import Ranked
from api.snapshots.snapshot import BLOCK_ITEMS
from api.snapshots.store import now_ms

# Of the best so many get their cards as they are ranked (count): the longest first page, and some
# for what is left out of it. Whole blocks of a snapshot.
WITH_CARDS = 3 * BLOCK_ITEMS
RANKED_TOGETHER_MOST = 16  # viewers of one statement (count)
RANKINGS_WAITING = 256  # of a process (count); more are refused


class Kind(NamedTuple):
    """
    What rankings of one statement have in common.

    All of now have no clock. Who was shown something is ranked alone: those lists may be long.
    """

    as_of_ms: int | None
    variant: str
    alone: object | None  # like no other


class ReelRanking:
    """`algo=ch`: ranked for the viewer in ClickHouse."""

    surface = Surface.REELS

    def __init__(
        self,
        queries: ReelQueries,
        cards: ReelCards,
        *,
        together_most: int = RANKED_TOGETHER_MOST,
    ) -> None:
        self.circuit = queries.circuit
        self._queries = queries
        self._cards = cards
        self._gathering = Gathering[Viewer, Kind, Ranked](
            queries.clickhouse,
            self._rank,
            together_most=together_most,
            waiting_most=RANKINGS_WAITING,
        )

    async def ranked(
        self, viewer_id: int, as_of_ms: int | None, variant: str, shown: Sequence[int]
    ) -> Ranked:
        """Return the viewer's ranking without what was shown, the best with their cards."""
        ranked = await self._gathering.ask(
            Viewer(viewer_id, variant, shown),
            Kind(as_of_ms, variant, object() if shown else None),
        )
        best = await self._cards.on(ranked.items[:WITH_CARDS])
        return Ranked(ranked.as_of_ms, best + ranked.items[WITH_CARDS:])

    async def _rank(self, viewers: Sequence[Viewer], kind: Kind, seconds: float) -> list[Ranked]:
        """Rank for viewers in one statement, without cards."""
        RANKED_TOGETHER.observe(len(viewers))
        clock_ms = now_ms() if kind.as_of_ms is None else kind.as_of_ms
        rankings = await self._queries.rank(viewers, clock_ms, seconds)
        return [Ranked(clock_ms, items) for items in rankings]
