"""
What must not be on a page, whatever ranking it is cut from.

Whom a viewer is hidden from, and by which transaction, is a sorted set of users in Redis. The score
is twice the number of the transaction, plus one when it hid them: the larger score is the later
decision, and an odd one hides, however late or often a message comes. (Numbers of transactions stay
below 2^52, so scores are exact.) The oldest decisions leave first.

Posts that were deleted are a sorted set for everybody, by the time (Redis' clock, milliseconds)
they were noted at. A page looks up the posts it would have, and nothing else of it is ever read.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from msgspec import Struct

from api.counters.counts import ItemType
from api.snapshots.ranking import RankedItem
from api.snapshots.seen import Seen

# A viewer with more decisions within two days may see some of whom they hid in snapshots that exist
# already; rankings are without them all the same.
HIDDEN_MOST = 1_000  # users (count)
# Some 10 MB of Redis. Where more are deleted within two days, the first of them may come back in
# snapshots that exist already.
DELETED_MOST = 100_000  # posts (count)


class Hiding(NamedTuple):
    """Whether a transaction hid a user from a viewer, or let them be seen again."""

    user_id: int
    is_hidden: bool
    txid: int

    @property
    def member(self) -> bytes:
        """The user, as scripts compare them."""
        return packed_id(self.user_id)

    @property
    def score(self) -> int:
        """The decision; larger is later, odd is hidden."""
        return 2 * self.txid + self.is_hidden


class Exclusions(Struct, frozen=True):
    """What rankings may not know of yet; `deleted` is of the items that were looked up."""

    seen: Seen = Seen()
    hidden_users: frozenset[int] = frozenset()
    deleted: frozenset[int] = frozenset()

    def cover(self, item: RankedItem) -> bool:
        """Say whether an item is to be left out."""
        return (
            item.author_id in self.hidden_users
            or item.item_id in self.deleted
            or item.item_id in self.seen
        )


NOTHING = Exclusions()


def hidden_key(viewer_id: int) -> str:
    """Return the key of a viewer's sorted set of users."""
    return f"hidden:v2:{{{viewer_id}}}"


def deleted_key(item_type: ItemType) -> str:
    """Return the key of the sorted set of deleted items; nobody deletes videos here."""
    return f"deleted:v1:{item_type}"


def packed_id(item_id: int) -> bytes:
    """Return an id as scripts compare them: 8 bytes, big-endian, as in a snapshot's places."""
    return item_id.to_bytes(8, "big")


def hidden_users(decisions: Iterable[tuple[bytes, float]]) -> frozenset[int]:
    """Return who is hidden, of members and scores."""
    return frozenset(int.from_bytes(user, "big") for user, score in decisions if score % 2)
