"""A feed as a whole: which algorithms it has, and the walks through their rankings."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import StrEnum
from typing import Generic, TypeVar

import msgspec

from api.counters.near import NearCounters
from api.counters.overlay import Overlay
from api.cursor import Cursor, CursorCodec, Surface, bad_cursor
from api.snapshots.ranking import Rankings
from api.snapshots.walk import Page, Walks, unavailable
from api.stores import StoreUnavailableError

DEFAULT_VARIANT = "default"

Algorithm = TypeVar("Algorithm", bound=StrEnum)
Hydrated = Callable[[Sequence[bytes]], Awaitable[list[bytes]]]


class FeedReader(Generic[Algorithm]):
    """
    The walks of one feed, each in the rankings of its algorithm; counters are of now.

    `rankings` has the algorithm that is meant when none is asked for first. Of an algorithm's
    rankings the first is its own; the others stand in for it, and are algorithms of this feed, too.
    `hydrated` makes whole what its rankings leave open of their items, and leaves out what is gone.
    With counters that are `near`, pages that are there already take a short way (`hit`).
    """

    def __init__(
        self,
        rankings: Mapping[Algorithm, Rankings],
        overlay: Overlay,
        walks: Walks,
        cursors: CursorCodec,
        hydrated: Hydrated | None = None,
        near: NearCounters | None = None,
    ) -> None:
        self._rankings = rankings
        self._default = next(iter(rankings))
        self._algorithms: dict[Surface, Algorithm] = {
            own.surface: algorithm for algorithm, (own, *_) in rankings.items()
        }
        # Whose walk it is that goes on in a ranking of another algorithm.
        self._stood_in_for: dict[Surface, Algorithm] = {
            other.surface: algorithm
            for algorithm, (_, *others) in rankings.items()
            for other in others
        }
        self._overlay = overlay
        self._walks = walks
        self._cursors = cursors
        self._hydrated = hydrated
        self._near = near

    def algorithm_of(self, page: Page) -> Algorithm:
        """Return what ranked a page."""
        return self._algorithms[page.surface]

    async def first_page(self, algorithm: Algorithm | None, viewer_id: int, limit: int) -> Page:
        """Return the top of a viewer's feed."""
        rankings = self._rankings[algorithm or self._default]
        return await self._live(
            await self._walks.first_page(rankings, viewer_id, DEFAULT_VARIANT, limit)
        )

    async def next_page(
        self, algorithm: Algorithm | None, viewer_id: int, limit: int, cursor_text: str
    ) -> Page:
        """Return what follows a cursor; raises `BadCursorError`, also for another algorithm's."""
        rankings, cursor = self._read(algorithm, viewer_id, cursor_text, "cursor")
        return await self._live(await self._walks.next_page(rankings, viewer_id, cursor, limit))

    async def since(
        self, algorithm: Algorithm | None, viewer_id: int, limit: int, cursor_text: str
    ) -> Page:
        """Return what is new since a cursor; raises `BadCursorError` like `next_page`."""
        rankings, cursor = self._read(algorithm, viewer_id, cursor_text, "since")
        return await self._live(
            await self._walks.since(rankings, viewer_id, cursor, limit, cursor_text)
        )

    async def hit(self, viewer_id: int, limit: int, cursor_text: str | None) -> Page | None:
        """
        Return a page of the default algorithm if that takes one trip to Redis, as most do.

        When not, nothing has happened: `first_page` and `next_page` say what to do. Raises
        `BadCursorError` and `UnavailableError` like `next_page`.
        """
        if self._near is None:
            return None
        rankings, cursor = self._rankings[self._default], None
        if cursor_text is not None:
            rankings, cursor = self._read(self._default, viewer_id, cursor_text, "cursor")
        page = await self._walks.hit(
            rankings, viewer_id, DEFAULT_VARIANT, cursor, limit, self._near
        )
        return page if page is None or page.is_live else await self._live(page)

    def _read(
        self, algorithm: Algorithm | None, viewer_id: int, text: str, field: str
    ) -> tuple[Rankings, Cursor]:
        """
        Return a cursor and the rankings of its walk; raises `BadCursorError`.

        A walk that another ranking stands in for is taken for what was asked for and for what its
        pages say.
        """
        cursor = self._cursors.decode(text, viewer_id, frozenset(self._algorithms), field)
        said = self._algorithms[cursor.surface]
        walked = self._stood_in_for[cursor.surface] if cursor.is_stand_in else said
        if algorithm not in (None, said, walked):
            raise bad_cursor("foreign-surface", field)
        return self._rankings[walked], cursor

    async def _live(self, page: Page) -> Page:
        bodies = page.bodies
        if self._hydrated is not None:
            try:
                bodies = await self._hydrated(bodies)
            except StoreUnavailableError as exc:
                raise unavailable() from exc
        return msgspec.structs.replace(page, bodies=await self._overlay.live(bodies))
