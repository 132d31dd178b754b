"""
One ranking, frozen: what a walk pages through, in memory and as it is packed in Redis.

Packed, it is a hash: `meta`, `places` (30 bytes each, for Redis to slice by) and blocks of 20
items, each the JSON lines compressed together: 500 items take some 40 kB instead of 200.
"""

from __future__ import annotations

import secrets
import struct
from collections.abc import Sequence
from typing import NamedTuple
from zlib import crc32

import msgspec
import zstandard
from msgspec import Struct

from api.cursor import Surface
from api.snapshots import seen
from api.snapshots.exclusions import NOTHING, Exclusions
from api.snapshots.ranking import RankedItem

SESSION_BYTES = 8
BLOCK_ITEMS = 20  # count; `lua/read_page.lua` is told

# id, height, index of the lowest so far, fingerprint so far, two hashes of the seen filter,
# id of the author
PLACE = struct.Struct(">QIHIHHQ")

Key = tuple[int, int]
HIGHEST_KEY: Key = (2**32 - 1, 2**64 - 1)

# Level 1: half the time of the default for a tenth more bytes.
_compressor = zstandard.ZstdCompressor(level=1)
_decompressor = zstandard.ZstdDecompressor()


class SnapshotKey(NamedTuple):
    """Which snapshot: a walk's session, and how many rankings the walk has been through."""

    session: bytes
    generation: int

    @classmethod
    def fresh(cls) -> SnapshotKey:
        """Return the key of a new walk's first snapshot."""
        return cls(secrets.token_bytes(SESSION_BYTES), 0)

    def next(self) -> SnapshotKey:
        """Return the key of the ranking that follows in the same walk."""
        return SnapshotKey(self.session, self.generation + 1)


class Slice(NamedTuple):
    """A page's worth of a snapshot, and where that leaves the walk."""

    key: SnapshotKey
    as_of_ms: int
    total: int
    bodies: list[bytes]
    next_position: int
    fingerprint: int
    lowest: Key

    @property
    def is_last(self) -> bool:
        """Say whether nothing of the snapshot is left."""
        return self.next_position >= self.total


class Meta(Struct, frozen=True, array_like=True):
    """What Redis keeps about a snapshot beside its items; add fields at the end only."""

    as_of_ms: int
    walked: int
    surface: Surface


_meta_decoder = msgspec.msgpack.Decoder(Meta)


class Snapshot:
    """
    A ranking of a surface with its clock; places are counted from 0.

    `walked` is the fingerprint of the rankings the walk went through before this one.
    """

    def __init__(
        self,
        surface: Surface,
        key: SnapshotKey,
        as_of_ms: int,
        items: Sequence[RankedItem],
        walked: int = 0,
    ) -> None:
        self.surface = surface
        self.key = key
        self.as_of_ms = as_of_ms
        self.items = items
        self.walked = walked

    @property
    def ids(self) -> list[int]:
        """Every item's id, best first."""
        return [item.item_id for item in self.items]

    def fingerprint(self, position: int) -> int:
        """Return a checksum of every id the walk was shown before a position, in their order."""
        value = self.walked
        for item in self.items[:position]:
            value = crc32(item.item_id.to_bytes(8, "big"), value)
        return value

    def slice(self, position: int, limit: int, excluded: Exclusions = NOTHING) -> Slice:
        """Return the next `limit` items from a position, without what is excluded by now."""
        bodies: list[bytes] = []
        next_position = position
        while next_position < len(self.items) and len(bodies) < limit:
            item = self.items[next_position]
            if not excluded.cover(item):
                bodies.append(item.body)
            next_position += 1
        return Slice(
            key=self.key,
            as_of_ms=self.as_of_ms,
            total=len(self.items),
            bodies=bodies,
            next_position=next_position,
            fingerprint=self.fingerprint(next_position),
            lowest=min((item.key for item in self.items[:next_position]), default=HIGHEST_KEY),
        )

    def pack(self) -> dict[str, bytes]:
        """Return the fields of the hash that keeps it."""
        fields = {
            "meta": msgspec.msgpack.encode(Meta(self.as_of_ms, self.walked, self.surface)),
            "places": self._places(),
        }
        for start in range(0, len(self.items), BLOCK_ITEMS):
            lines = b"\n".join(item.body for item in self.items[start : start + BLOCK_ITEMS])
            fields[f"b{start // BLOCK_ITEMS}"] = _compressor.compress(lines)
        return fields

    def _places(self) -> bytes:
        packed = bytearray()
        fingerprint = self.walked
        lowest = 0
        for index, item in enumerate(self.items):
            if item.key < self.items[lowest].key:
                lowest = index
            fingerprint = crc32(item.item_id.to_bytes(8, "big"), fingerprint)
            packed += PLACE.pack(
                item.item_id,
                item.height,
                lowest,
                fingerprint,
                *seen.hashes(item.item_id),
                item.author_id,
            )
        return bytes(packed)

    @classmethod
    def unpack(cls, key: SnapshotKey, fields: dict[bytes, bytes]) -> Snapshot:
        """Return the snapshot a hash keeps."""
        blocks = range(-(-len(fields[b"places"]) // PLACE.size // BLOCK_ITEMS))
        bodies = [line for n in blocks for line in lines_of(fields[b"b%d" % n])]
        places = PLACE.iter_unpack(fields[b"places"])
        items = [
            RankedItem(item_id=place[0], height=place[1], author_id=place[-1], body=body)
            for place, body in zip(places, bodies, strict=True)
        ]
        meta = meta_of(fields[b"meta"])
        return cls(meta.surface, key, meta.as_of_ms, items, meta.walked)


def unpacked(block: bytes) -> bytes:
    """Return the items of a block, a line each."""
    return _decompressor.decompress(block)


def lines_of(block: bytes) -> list[bytes]:
    """Return the items of a block."""
    return unpacked(block).split(b"\n")


def meta_of(packed: bytes) -> Meta:
    """Return what is kept beside the items."""
    return _meta_decoder.decode(packed)
