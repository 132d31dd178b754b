"""What must not be on a page, whatever ranking it is cut from."""

from __future__ import annotations

from msgspec import Struct

from api.snapshots.ranking import RankedItem
from api.snapshots.seen import Seen


class Exclusions(Struct, frozen=True):
    """Items a viewer has seen, and users they have hidden, since rankings may last know of it."""

    seen: Seen = Seen()
    hidden_users: frozenset[int] = frozenset()

    def cover(self, item: RankedItem) -> bool:
        """Say whether an item is to be left out."""
        return item.author_id in self.hidden_users or item.item_id in self.seen


NOTHING = Exclusions()
