"""
Counters of items on pages, in this process, for as long as Redis says nothing else of them.

Redis tells of every change of a counter on the line on which pages are read, before it answers
what is asked after the change: a page made of these is as if Redis had been asked for each of its
items, which takes longer than everything else of a hit (decision 46). Without that line nothing is
kept here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from api.counters.counts import ItemType, key_prefix, unpack
from api.counters.store import FROM_REDIS, CounterStore
from api.counters.tail import Tail
from api.redisline import NoReplyError

NEAR_MOST = 100_000  # items (count), some 20 MB; the first that came leave first

# Of an item nobody has acted on, as far as Postgres knows: nothing newer than the ranking.
AS_RANKED = b""


class NearCounters:
    """The counters of one type of item, as they stand at the end of its JSON."""

    def __init__(self, counters: CounterStore, item_type: ItemType, tail: Tail) -> None:
        self.tail = tail
        self._counters = counters
        self._line = counters.line
        self._item_type = item_type
        self._prefix = key_prefix(item_type).encode()
        # By the digits of the id.
        self._known: dict[bytes, bytes] = {}
        self._line.track(key_prefix(item_type), self._forget)

    async def live(self, items: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
        """Return items, given without and with what `Tail.split` found, with counters of now."""
        digits_of, known = self.tail.digits_of, self._known
        ids = [digits_of(head) for head, _ in items]
        found = [known.get(digits) for digits in ids]
        if None in found:
            unknown = [one for one, now in zip(ids, found, strict=True) if now is None]
            read = await self._read(unknown)
            found = [now or read.get(one) for one, now in zip(ids, found, strict=True)]
            FROM_REDIS.inc(len(ids) - len(unknown))
        else:
            FROM_REDIS.inc(len(ids))
        return [
            head + (now or as_ranked) for (head, as_ranked), now in zip(items, found, strict=True)
        ]

    async def _read(self, ids: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return counters from Redis, to be kept, or from wherever else they can be had."""
        prefix, changes = self._prefix, -1
        try:
            values, changes = await self._line.ask_as_of("MGET", *(prefix + d for d in ids))
        except NoReplyError:
            values = [None] * len(ids)
        read: dict[bytes, bytes] = {}
        # What changed since the answer came may be among it.
        is_current = changes == self._line.changes
        for digits, value in zip(ids, cast("list[bytes | None]", values), strict=True):
            if value is not None:
                read[digits] = self._written(digits, value)
                if is_current:
                    self._keep(digits, read[digits])
        FROM_REDIS.inc(len(read))
        missing = [digits for digits in ids if digits not in read]
        if missing:
            rebuilt = await self._counters.read(self._item_type, [int(d) for d in missing])
            for item_id, counts in rebuilt.items():
                if counts.version:
                    read[b"%d" % item_id] = self.tail.written(counts)
        return read

    def _written(self, digits: bytes, value: bytes) -> bytes:
        counts = unpack(self._item_type, int(digits), value)
        return self.tail.written(counts) if counts.version else AS_RANKED

    def _keep(self, digits: bytes, written: bytes) -> None:
        if len(self._known) >= NEAR_MOST:
            del self._known[next(iter(self._known))]
        self._known[digits] = written

    def _forget(self, keys: Sequence[bytes] | None) -> None:
        if keys is None:
            self._known.clear()
            return
        start = len(self._prefix)
        for key in keys:
            self._known.pop(key[start:], None)
