"""
What a viewer has just seen: a Bloom filter per viewer, type of item and day in Redis.

It covers the time between a watch and its arrival in the ranking: the exact 30-day rule is an
anti-join in SQL. Two days are kept and today's and yesterday's are read, so a watch is remembered
for 24 to 48 hours. 2^15 bits with 7 hashes stay below 1 % false positives up to 2,500 items a day
on two days together (0.4 % there); a viewer who sees more loses a few unseen items a page, nothing
else. Ids of videos and of posts are numbered apart and overlap: each type has its own.

The keys and the bits are decided here and nowhere else: `touches.py` has them written, `Seen` reads
them, `lua/read_page.lua` reads them inside Redis.
"""

from __future__ import annotations

import time
from hashlib import blake2b

from msgspec import Struct

from api.counters.counts import ItemType

BITS = 2**15
HASHES = 7
DAY_SECONDS = 86_400
KEPT_SECONDS = 2 * DAY_SECONDS


class Seen(Struct, frozen=True):
    """The two bitmaps of a viewer, as Redis holds them; empty when nothing was seen."""

    today: bytes = b""
    yesterday: bytes = b""

    def __contains__(self, item_id: object) -> bool:
        """Say whether an item was (very probably) seen."""
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


def keys(viewer_id: int, item_type: ItemType, now: float | None = None) -> tuple[str, str]:
    """Return the keys of today and yesterday (UTC)."""
    day = int((time.time() if now is None else now) // DAY_SECONDS)
    prefix = f"seen:v2:{{{viewer_id}}}:{item_type}:"
    return f"{prefix}{day}", f"{prefix}{day - 1}"


def _bit(bitmap: bytes, place: int) -> bool:
    # Redis numbers bits from the most significant one of the first byte.
    index = place >> 3
    return index < len(bitmap) and bool(bitmap[index] & (0x80 >> (place & 7)))
