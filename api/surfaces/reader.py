"""A feed as a whole: which algorithms it has, and the walks through their rankings."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Generic, TypeVar

import msgspec

from api.counters.overlay import Overlay
from api.cursor import CursorCodec, Surface
from api.snapshots.ranking import Ranking
from api.snapshots.walk import Page, Walks

DEFAULT_VARIANT = "default"

Algorithm = TypeVar("Algorithm", bound=StrEnum)


class FeedReader(Generic[Algorithm]):
    """
    The walks of one feed, each in the ranking its algorithm stands for; counters are of now.

    `rankings` has the algorithm that is meant when none is asked for first.
    """

    def __init__(
        self,
        rankings: Mapping[Algorithm, Ranking],
        overlay: Overlay,
        walks: Walks,
        cursors: CursorCodec,
    ) -> None:
        self._rankings = rankings
        self._default = next(iter(rankings))
        self._algorithms: dict[Surface, Algorithm] = {
            ranking.surface: algorithm for algorithm, ranking in rankings.items()
        }
        self._overlay = overlay
        self._walks = walks
        self._cursors = cursors

    def algorithm_of(self, page: Page) -> Algorithm:
        """Return what ranked a page."""
        return self._algorithms[page.surface]

    async def first_page(self, algorithm: Algorithm | None, viewer_id: int, limit: int) -> Page:
        """Return the top of a viewer's feed."""
        ranking = self._rankings[algorithm or self._default]
        return await self._live(
            await self._walks.first_page(ranking, viewer_id, DEFAULT_VARIANT, limit)
        )

    async def next_page(
        self, algorithm: Algorithm | None, viewer_id: int, limit: int, cursor_text: str
    ) -> Page:
        """Return what follows a cursor; raises `BadCursorError`, also for another algorithm's."""
        cursor = self._cursors.decode(cursor_text, viewer_id, self._surfaces(algorithm), "cursor")
        ranking = self._rankings[self._algorithms[cursor.surface]]
        return await self._live(await self._walks.next_page(ranking, viewer_id, cursor, limit))

    async def since(
        self, algorithm: Algorithm | None, viewer_id: int, limit: int, cursor_text: str
    ) -> Page:
        """Return what is new since a cursor; raises `BadCursorError` like `next_page`."""
        cursor = self._cursors.decode(cursor_text, viewer_id, self._surfaces(algorithm), "since")
        ranking = self._rankings[self._algorithms[cursor.surface]]
        return await self._live(
            await self._walks.since(ranking, viewer_id, cursor, limit, cursor_text)
        )

    def _surfaces(self, algorithm: Algorithm | None) -> frozenset[Surface]:
        if algorithm is None:
            return frozenset(self._algorithms)
        return frozenset({self._rankings[algorithm].surface})

    async def _live(self, page: Page) -> Page:
        return msgspec.structs.replace(page, bodies=await self._overlay.live(page.bodies))
