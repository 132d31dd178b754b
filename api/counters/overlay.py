"""
Live counters on items that are JSON already, without reading the JSON.

An item is made once, by ClickHouse, and then sent many times from a snapshot; only its counters
move. So they are the last fields of the item's struct, and new ones take the place of the old at
the end of the line. Nothing else of an item is touched: scores and rates are the ranking's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from operator import attrgetter

from msgspec import Struct

from api.counters.counts import ItemCounts, ItemType
from api.counters.store import CounterStore


class Tail:
    """
    The counters at the end of an item's JSON, for one kind of item.

    Holds for every struct whose first field is the id, as text, and whose last ones are the
    counters, in the order of `fields` (from the name in JSON to the one in `ItemCounts`). Raises
    `ValueError` for any other.
    """

    def __init__(self, item: type[Struct], fields: Mapping[str, str]) -> None:
        names = item.__struct_encode_fields__
        if not fields or names[-len(fields) :] != tuple(fields):
            raise ValueError(f"{item.__name__} must end with {', '.join(fields)}")
        self._head = f'{{"{names[0]}":"'.encode()
        # Of what stands between quotes only the last text of this kind can be the counters: what
        # comes before may be anybody's title, and nothing comes after.
        self._mark = f',"{names[-len(fields)]}":'.encode()
        digits = ",".join(f'"{name}":\\d+' for name in fields)
        self._counters = re.compile(f",{digits}}}".encode())
        self._template = ("," + ",".join(f'"{name}":%d' for name in fields) + "}").encode()
        self._values = attrgetter(*fields.values())

    def id_of(self, body: bytes) -> int:
        """Return the id of an item; raises `ValueError` when it does not begin with one."""
        if not body.startswith(self._head):
            raise ValueError("the item does not begin with its id")
        start = len(self._head)
        return int(body[start : body.index(b'"', start)])

    def with_counts(self, body: bytes, counts: ItemCounts) -> bytes:
        """Return the item with other counters; as it is when it does not end with counters."""
        start = body.rfind(self._mark)
        if start < 0 or self._counters.fullmatch(body, start) is None:
            return body  # of a release that wrote items another way
        return body[:start] + self._template % self._values(counts)


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
