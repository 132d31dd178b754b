"""
What a viewer has just watched: a Bloom filter per viewer and day in Redis.

It covers the time between a watch and its arrival in the ranking: the exact 30-day rule is an
anti-join in SQL. Two days are kept and today's and yesterday's are read, so a watch is remembered
for 24 to 48 hours. 2^15 bits with 7 hashes stay below 1 % false positives up to 3,000 watches a day
on two days together; a viewer who watches more loses a few unseen items a page, nothing else.

The key and the bits are decided here and nowhere else: `add` writes them, `is_seen` reads them,
`lua/read_page.lua` reads them inside Redis.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from hashlib import blake2b

from msgspec import Struct
from redis.asyncio import Redis

BITS = 2**15
HASHES = 7
DAY_SECONDS = 86_400
KEPT_SECONDS = 2 * DAY_SECONDS


class Seen(Struct, frozen=True):
    """The two bitmaps of a viewer, as Redis holds them; empty when nothing was watched."""

    today: bytes = b""
    yesterday: bytes = b""

    def __contains__(self, item_id: object) -> bool:
        """Say whether an item was (very probably) watched."""
        return isinstance(item_id, int) and any(
            bitmap and all(_bit(bitmap, place) for place in places(*hashes(item_id)))
            for bitmap in (self.today, self.yesterday)
        )


def hashes(item_id: int) -> tuple[int, int]:
    """Return the start and the (odd) step of an item's places; 16 bits each."""
    digest = blake2b(item_id.to_bytes(8, "big"), digest_size=4).digest()
    return int.from_bytes(digest[:2], "big"), int.from_bytes(digest[2:], "big") | 1


def places(start: int, step: int) -> list[int]:
    """Return the bits of an item, by double hashing."""
    return [(start + i * step) % BITS for i in range(HASHES)]


def keys(viewer_id: int, now: float | None = None) -> tuple[str, str]:
    """Return the keys of today and yesterday (UTC)."""
    day = int((time.time() if now is None else now) // DAY_SECONDS)
    return f"seen:v1:{{{viewer_id}}}:{day}", f"seen:v1:{{{viewer_id}}}:{day - 1}"


async def add(redis: Redis, viewer_id: int, item_ids: Iterable[int]) -> None:
    """Remember that a viewer watched these items, in one round trip."""
    today, _ = keys(viewer_id)
    pipeline = redis.pipeline(transaction=False)
    for item_id in item_ids:
        for place in places(*hashes(item_id)):
            pipeline.setbit(today, place, 1)
    pipeline.expire(today, KEPT_SECONDS)
    await pipeline.execute()


def _bit(bitmap: bytes, place: int) -> bool:
    # Redis numbers bits from the most significant one of the first byte.
    index = place >> 3
    return index < len(bitmap) and bool(bitmap[index] & (0x80 >> (place & 7)))
