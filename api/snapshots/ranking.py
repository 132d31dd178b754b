"""What a surface brings to be paged: a ranking, as rows that are ready to send."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from api.cursor import Surface
from api.stores import Breaker


class RankedItem(NamedTuple):
    """
    One place of a ranking; `body` is the item as JSON, without a line break.

    `height` is what the ranking sorts by before places are spread, higher first: the score (ppm),
    or, where nothing is scored, the time (seconds since 2000, plus 2^31 before what only fills up).
    32 bits, as in cursors.
    """

    item_id: int
    height: int
    author_id: int
    body: bytes

    @property
    def key(self) -> tuple[int, int]:
        """What a walk's lowest place is compared by."""
        return self.height, self.item_id


class Ranked(NamedTuple):
    """A ranking, best first, and the instant it is of (milliseconds since 1970)."""

    as_of_ms: int
    items: list[RankedItem]


class Ranking(Protocol):
    """Ranks for a viewer; raises `StoreUnavailableError` when it cannot."""

    @property
    def surface(self) -> Surface:
        """Which surface this is, for cursors and keys."""
        ...

    @property
    def circuit(self) -> Breaker:
        """The circuit its queries go through."""
        ...

    async def ranked(
        self, viewer_id: int, as_of_ms: int | None, variant: str, shown: Sequence[int]
    ) -> Ranked:
        """
        Return the ranking at an instant without what was shown already.

        Without an instant it is of one between now and the answer.
        """
        ...


# The ranking that is asked for, then those that stand in for it while it cannot be read.
Rankings = Sequence[Ranking]
