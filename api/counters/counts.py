"""
The counters of an item as they travel: from a write, in Redis, onto a page.

Values are absolute, with the version of the row they were read from. So a late, a repeated or a
lost message can be old, and never wrong: the larger version wins.

In Redis a value is 8 bytes of version, big-endian, which scripts compare, then the six totals in
MessagePack: some 15 bytes for most items.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

import msgspec
from msgspec import Struct

from api.settings import Settings

ItemType = Literal["video", "post"]

PREFIX = "counts:v1:"
VERSION = struct.Struct(">Q")

KEEP_AT_ONCE = 200  # items of one script (count); Redis serves nobody else meanwhile


class ItemCounts(Struct, frozen=True, array_like=True):
    """
    Totals of one item (counts, all time), as of a version of its row; 0 when it has no row.

    The order is that of `changed`, which Postgres' functions answer writes with.
    """

    item_type: ItemType
    item_id: int
    version: int
    views: int = 0
    likes: int = 0
    shares: int = 0
    comments: int = 0
    exposures: int = 0
    dwell_ms: int = 0


class Totals(NamedTuple):
    """What Redis keeps of an item beside the version."""

    views: int
    likes: int
    shares: int
    comments: int
    exposures: int
    dwell_ms: int


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Totals).decode


def key_prefix(item_type: ItemType) -> str:
    """Return how the keys of a type begin; the id follows, in digits."""
    return f"{PREFIX}{item_type}:"


def key_of(item_type: ItemType, item_id: int) -> str:
    """Return the key of an item's counters."""
    return f"{key_prefix(item_type)}{item_id}"


def item_of(key: bytes) -> tuple[ItemType, int]:
    """Return whose counters a key holds."""
    item_type, _, item_id = key.decode().removeprefix(PREFIX).partition(":")
    return msgspec.convert(item_type, ItemType), int(item_id)


def pack(counts: ItemCounts) -> bytes:
    """Return the value of a key."""
    totals = Totals(
        counts.views,
        counts.likes,
        counts.shares,
        counts.comments,
        counts.exposures,
        counts.dwell_ms,
    )
    return VERSION.pack(counts.version) + _encode(totals)


def unpack(item_type: ItemType, item_id: int, value: bytes) -> ItemCounts:
    """Return what `pack` packed."""
    return ItemCounts(item_type, item_id, version_of(value), *_decode(value[VERSION.size :]))


def version_of(value: bytes) -> int:
    """Return the version of a packed value."""
    version: int = VERSION.unpack_from(value)[0]
    return version


def newest(counts: Iterable[ItemCounts]) -> list[ItemCounts]:
    """Return one value per item, the newest: a batch may name an item twice."""
    found: dict[tuple[ItemType, int], ItemCounts] = {}
    for one in counts:
        item = one.item_type, one.item_id
        known = found.get(item)
        if known is None or known.version < one.version:
            found[item] = one
    return list(found.values())


def kept_seconds(settings: Settings) -> int:
    """
    Return how long counters are kept after their last change (seconds).

    Twice as long as any snapshot lives. When a value leaves, its item has not changed for so long
    that every snapshot was ranked after the change: a page that then falls back to the numbers of
    its snapshot (Postgres is away too) shows the same ones, not older ones.
    """
    return 2 * max(settings.stale_ttl_seconds, settings.snapshot_ttl_seconds)


def keep_calls(
    counts: Sequence[ItemCounts], kept_seconds: int
) -> Iterator[tuple[list[str], list[bytes]]]:
    """Yield keys and arguments of `lua/keep_counts.lua`, once per 200 items."""
    for start in range(0, len(counts), KEEP_AT_ONCE):
        batch = counts[start : start + KEEP_AT_ONCE]
        keys = [key_of(one.item_type, one.item_id) for one in batch]
        yield keys, [b"%d" % kept_seconds, *map(pack, batch)]
