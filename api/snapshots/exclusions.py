"""
What must not be on a page, whatever ranking it is cut from.

Whom a viewer is hidden from, and by which transaction, is a sorted set of users in Redis. The score
is twice the number of the transaction, plus one when it hid them: the larger score is the later
decision, and an odd one hides, however late or often a message comes. (Numbers of transactions stay
below 2^52, so scores are exact.) The oldest decisions leave first.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from msgspec import Struct

from api.snapshots.ranking import RankedItem
from api.snapshots.seen import Seen

# A viewer with more decisions within two days may see some of whom they hid in snapshots that exist
# already; rankings are without them all the same.
HIDDEN_MOST = 1_000  # users (count)


class Hiding(NamedTuple):
    """Whether a transaction hid a user from a viewer, or let them be seen again."""

    user_id: int
    is_hidden: bool
    txid: int

    @property
    def member(self) -> bytes:
        """The user as scripts compare them: 8 bytes, big-endian, as in a snapshot's places."""
        return self.user_id.to_bytes(8, "big")

    @property
    def score(self) -> int:
        """The decision; larger is later, odd is hidden."""
        return 2 * self.txid + self.is_hidden


class Exclusions(Struct, frozen=True):
    """Items a viewer has seen, and users they have hidden, since rankings may last know of it."""

    seen: Seen = Seen()
    hidden_users: frozenset[int] = frozenset()

    def cover(self, item: RankedItem) -> bool:
        """Say whether an item is to be left out."""
        return item.author_id in self.hidden_users or item.item_id in self.seen


NOTHING = Exclusions()


def hidden_key(viewer_id: int) -> str:
    """Return the key of a viewer's sorted set of users."""
    return f"hidden:v2:{{{viewer_id}}}"


def hidden_users(decisions: Iterable[tuple[bytes, float]]) -> frozenset[int]:
    """Return who is hidden, of members and scores."""
    return frozenset(int.from_bytes(user, "big") for user, score in decisions if score % 2)
