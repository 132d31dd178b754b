"""Live counters on items that are JSON already, without reading the JSON."""

from __future__ import annotations

from collections.abc import Sequence

from api.counters.counts import ItemType
from api.counters.near import NearCounters
from api.counters.store import CounterStore
from api.counters.tail import Tail


class Counted(bytes):
    """
    An item whose counters Postgres has just said, so that nothing newer is to be found.

    Once it was kept somewhere it is bytes like any other.
    """

    __slots__ = ()


class Overlay:
    """Puts live counters on the items of a page; one round trip to Redis, when one needs it."""

    def __init__(self, counters: CounterStore, item_type: ItemType, tail: Tail) -> None:
        self._counters = counters
        self._item_type = item_type
        self._tail = tail

    async def live(self, bodies: Sequence[bytes]) -> list[bytes]:
        """Return the items with their counters of now, where those are known."""
        ids = {
            place: self._tail.id_of(body)
            for place, body in enumerate(bodies)
            if not isinstance(body, Counted)
        }
        live = list(bodies)
        if not ids:
            return live
        counts = await self._counters.read(self._item_type, list(ids.values()))
        for place, item_id in ids.items():
            now = counts.get(item_id)
            # Version 0: nobody has acted, as far as Postgres knows; nothing newer than the ranking.
            if now and now.version:
                live[place] = self._tail.with_counts(live[place], now)
        return live

    def near(self) -> NearCounters:
        """Return the same counters as this process keeps them, for what is asked most."""
        return NearCounters(self._counters, self._item_type, self._tail)
