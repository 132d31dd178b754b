"""
The counters at the end of an item's JSON: how to find them there, and to put others in their place.

An item is made once, by ClickHouse, and then sent many times from a snapshot; only its counters
move. So they are the last fields of the item's struct, and new ones take the place of the old at
the end of the line. Nothing else of an item is touched: scores and rates are the ranking's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from operator import attrgetter

from msgspec import Struct

from api.counters.counts import ItemCounts


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
        # Lines end there and nowhere else: JSON has no line break of its own, and quotes in texts
        # have a backslash before them.
        self._split = re.compile(f"(,{digits}}})(?:\n|$)".encode())

    def id_of(self, body: bytes) -> int:
        """Return the id of an item; raises `ValueError` when it does not begin with one."""
        if not body.startswith(self._head):
            raise ValueError("the item does not begin with its id")
        return int(self.digits_of(body))

    def written(self, counts: ItemCounts) -> bytes:
        """Return counters as they stand at the end of an item."""
        return self._template % self._values(counts)

    def with_counts(self, body: bytes, counts: ItemCounts) -> bytes:
        """Return the item with other counters; as it is when it does not end with counters."""
        start = body.rfind(self._mark)
        if start < 0 or self._counters.fullmatch(body, start) is None:
            return body  # of a release that wrote items another way
        return body[:start] + self.written(counts)

    def split(self, lines: bytes) -> list[tuple[bytes, bytes]]:
        """Return each line before its counters, and these; raises `ValueError`."""
        parts = self._split.split(lines)
        if len(parts) % 2 == 0 or parts.pop():
            raise ValueError("not every item ends with counters")
        return list(zip(parts[::2], parts[1::2], strict=True))

    def digits_of(self, item: bytes) -> bytes:
        """Return the id of an item as it is written there."""
        start = len(self._head)
        return item[start : item.index(b'"', start)]
