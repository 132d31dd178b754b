"""Live counters on items that are JSON already, without reading the JSON."""

from __future__ import annotations

from collections.abc import Sequence

from api.counters.counts import ItemType
from api.counters.near import NearCounters
from api.counters.store import CounterStore
from api.counters.tail import Tail


class Overlay:
    """Puts live counters on the items of a page; one round trip to Redis."""

    def __init__(self, counters: CounterStore, item_type: ItemType, tail: Tail) -> None:
        self._counters = counters
        self._item_type = item_type
        self._tail = tail

    async def live(self, bodies: Sequence[bytes]) -> list[bytes]:
        """Return the items with their counters of now, where those are known."""
        ids = [self._tail.id_of(body) for body in bodies]
        counts = await self._counters.read(self._item_type, ids)
        return [
            # Version 0: nobody has acted, as far as Postgres knows; nothing newer than the ranking.
            self._tail.with_counts(body, now)
            if (now := counts.get(item_id)) and now.version
            else body
            for item_id, body in zip(ids, bodies, strict=True)
        ]

    def near(self) -> NearCounters:
        """Return the same counters as this process keeps them, for what is asked most."""
        return NearCounters(self._counters, self._item_type, self._tail)
