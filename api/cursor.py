"""Page cursors: opaque, signed, short, bound to one viewer and one surface."""

from __future__ import annotations

import hmac
import struct
import time
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from functools import cached_property, lru_cache
from typing import Literal

from msgspec import Struct

from api.counters.counts import ItemType
from api.errors import BadCursorError, FieldError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

VERSION = 2
LONGEST_VARIANT = 32  # bytes; keeps the longest cursor at 128 characters
SIGNATURE_BYTES = 16
VIEWER_TAGS_MAX = 10_000  # kept per process (count)

# version, surface, issued at (s), viewer tag, session, generation, position, as_of (ms),
# fingerprint, lowest height, lowest id, flags, length of the variant that follows
HEAD = struct.Struct(">BBII8sHHQIIQBB")
STALE, STAND_IN, CROSSED = 1, 2, 4  # flags

# Cursors of comments: version, issued at (s), tag of the item, created at (us), id, length of what
# follows, which is nothing
COMMENTS_VERSION = 128
COMMENTS_HEAD = struct.Struct(">BI8sqQB")

# Cursors of a search: version, issued at (s), viewer tag, tag of what is searched for, flags, as_of
# (ms), relevance (ppm), published at (ms), id, fingerprint of the correction, length of what
# follows, which is nothing
SEARCH_VERSION = 129
SEARCH_HEAD = struct.Struct(">BII8sBQQQQIB")
RELAXED, ELSEWHERE = 1, 2  # flags

HEADS = {VERSION: HEAD, COMMENTS_VERSION: COMMENTS_HEAD, SEARCH_VERSION: SEARCH_HEAD}

Reason = Literal[
    "forged", "truncated", "expired", "foreign-viewer", "foreign-surface", "foreign-search"
]

DETAILS: dict[Reason, str] = {
    "forged": "The cursor is forged: this service did not sign it.",
    "truncated": "The cursor is truncated: a part of it is missing.",
    "expired": "The cursor is expired: start again without one.",
    "foreign-viewer": "The cursor is of another viewer.",
    "foreign-surface": "The cursor is of another surface, algorithm or item.",
    "foreign-search": "The cursor is of another search: other words, or other filters.",
}


class Surface(IntEnum):
    """What is paged through. The number is in cursors, the name in Redis keys: never reuse one."""

    REELS = 1
    REELS_TRENDING = 2
    POSTS = 3
    POSTS_TIMELINE = 4

    @cached_property
    def slug(self) -> str:
        """Name for keys, logs and metrics."""
        return self.name.lower().replace("_", "-")

    @property
    def item_type(self) -> ItemType:
        """What it is made of: which seen filter counts, and whose writes rank it anew."""
        return "post" if self.family is Surface.POSTS else "video"

    @property
    def family(self) -> Surface:
        """The surface whose walks may go on in this one; they share what they keep."""
        return Surface.POSTS if self is Surface.POSTS_TIMELINE else self

    @property
    def has_writes_at_once(self) -> bool:
        """Say whether it is ranked where writes are stored, and need not wait for them to land."""
        return self is Surface.POSTS_TIMELINE

    @property
    def is_refreshed(self) -> bool:
        """Say whether others' writes are in its rankings only once what ranks was refreshed."""
        return self is Surface.POSTS

    @property
    def is_personal(self) -> bool:
        """Say whether it is ranked for the viewer, so that their writes change it."""
        return self is not Surface.REELS_TRENDING


class Cursor(Struct, frozen=True):
    """
    Where a viewer stands in a walk.

    `session` and `generation` name the snapshot, `position` the next place in it. The rest is the
    way back for when Redis lost the snapshot: the clock and variant it was ranked with; a
    `fingerprint` of every id up to here (are rankings made again still the same?); and the lowest
    `(height, id)` shown in the whole walk (what is strictly below cannot have been shown; the
    last one shown is not enough, because saturation moves places).

    `is_stale` says that the snapshot was an older one than asked for when the walk began in it, and
    `is_stand_in` that its ranking stands in for the one that was asked for; so that later pages can
    say so as well. `has_crossed` says that the walk has been in another ranking before, of which
    the way back knows nothing: what was shown there only Redis knows.
    """

    surface: Surface
    session: bytes
    generation: int
    position: int
    as_of_ms: int
    variant: str
    fingerprint: int
    lowest_height: int
    lowest_id: int
    is_stale: bool = False
    is_stand_in: bool = False
    has_crossed: bool = False

    @property
    def lowest(self) -> tuple[int, int]:
        """The lowest key shown so far."""
        return self.lowest_height, self.lowest_id


class CommentPlace(Struct, frozen=True):
    """The last comment of a page; the next page is what is older, or as old with a smaller id."""

    created_at: datetime
    comment_id: int


class SearchPlace(Struct, frozen=True):
    """
    The last video of a page of a search, as of which time, and which search it was.

    `is_relaxed` says that it was the second one, with a correction of this fingerprint, and
    `is_stand_in` that Postgres was asked.
    """

    as_of_ms: int
    relevance_ppm: int
    published_at_ms: int
    video_id: int
    correction: int
    is_relaxed: bool
    is_stand_in: bool


def fingerprint_of(text: str) -> int:
    """Return 32 bits by which a text is told from others."""
    return zlib.crc32(text.encode())


def bad_cursor(reason: Reason, field: str) -> BadCursorError:
    """Return the error that says what is wrong with a cursor."""
    return BadCursorError(
        DETAILS[reason], reason=reason, errors=[FieldError(field, DETAILS[reason])]
    )


class CursorCodec:
    """Writes and reads cursors with one secret; a lifetime counts from when one was issued."""

    def __init__(
        self, secret: str, lifetime_seconds: int, clock: Callable[[], float] = time.time
    ) -> None:
        self._key = hmac.digest(secret.encode(), b"nova-feed cursor signature", "sha256")
        self._viewer_key = hmac.digest(secret.encode(), b"nova-feed cursor viewer", "sha256")
        # A viewer comes again for the next page; a tag takes as long as a signature.
        self._viewer_tag = lru_cache(VIEWER_TAGS_MAX)(self._tag_of_viewer)
        self._lifetime_seconds = lifetime_seconds
        self._clock = clock

    def encode(self, cursor: Cursor, viewer_id: int) -> str:
        """Return the cursor for a viewer; at most 128 characters."""
        variant = cursor.variant.encode()
        if len(variant) > LONGEST_VARIANT:
            raise ValueError(f"a variant's name has at most {LONGEST_VARIANT} bytes")
        payload = (
            HEAD.pack(
                VERSION,
                cursor.surface,
                int(self._clock()),
                self._viewer_tag(viewer_id),
                cursor.session,
                cursor.generation,
                cursor.position,
                cursor.as_of_ms,
                cursor.fingerprint,
                cursor.lowest_height,
                cursor.lowest_id,
                STALE * cursor.is_stale
                | STAND_IN * cursor.is_stand_in
                | CROSSED * cursor.has_crossed,
                len(variant),
            )
            + variant
        )
        return self._sealed(payload)

    def decode(
        self, text: str, viewer_id: int, surfaces: frozenset[Surface], field: str = "cursor"
    ) -> Cursor:
        """
        Return the cursor, or raise `BadCursorError` saying which of its `Reason`s it is.

        Length is judged before the signature: a cut-off cursor is a client's bug, not an attack.
        """
        payload = self._opened(text, VERSION, field)
        (
            _,
            surface,
            issued_at,
            viewer_tag,
            session,
            generation,
            position,
            as_of_ms,
            fingerprint,
            lowest_height,
            lowest_id,
            flags,
            _,
        ) = HEAD.unpack_from(payload)
        if viewer_tag != self._viewer_tag(viewer_id):
            raise bad_cursor("foreign-viewer", field)
        if surface not in surfaces:
            raise bad_cursor("foreign-surface", field)
        self._require_young(issued_at, field)
        return Cursor(
            surface=Surface(surface),
            session=session,
            generation=generation,
            position=position,
            as_of_ms=as_of_ms,
            variant=payload[HEAD.size :].decode(),
            fingerprint=fingerprint,
            lowest_height=lowest_height,
            lowest_id=lowest_id,
            is_stale=bool(flags & STALE),
            is_stand_in=bool(flags & STAND_IN),
            has_crossed=bool(flags & CROSSED),
        )

    def encode_comment(self, place: CommentPlace, item_type: ItemType, item_id: int) -> str:
        """Return the cursor behind a comment of an item, for anybody; 67 characters."""
        payload = COMMENTS_HEAD.pack(
            COMMENTS_VERSION,
            int(self._clock()),
            self._item_tag(item_type, item_id),
            (place.created_at - EPOCH) // MICROSECOND,
            place.comment_id,
            0,
        )
        return self._sealed(payload)

    def decode_comment(
        self, text: str, item_type: ItemType, item_id: int, field: str = "cursor"
    ) -> CommentPlace:
        """Return the place, or raise `BadCursorError` like `decode`."""
        payload = self._opened(text, COMMENTS_VERSION, field)
        _, issued_at, item_tag, created_at_us, comment_id, _ = COMMENTS_HEAD.unpack(payload)
        if item_tag != self._item_tag(item_type, item_id):
            raise bad_cursor("foreign-surface", field)
        self._require_young(issued_at, field)
        return CommentPlace(EPOCH + created_at_us * MICROSECOND, comment_id)

    def encode_search(self, place: SearchPlace, viewer_id: int, search: bytes) -> str:
        """Return the cursor behind a video of a viewer's search; 99 characters."""
        payload = SEARCH_HEAD.pack(
            SEARCH_VERSION,
            int(self._clock()),
            self._viewer_tag(viewer_id),
            self._search_tag(search),
            RELAXED * place.is_relaxed | ELSEWHERE * place.is_stand_in,
            place.as_of_ms,
            place.relevance_ppm,
            place.published_at_ms,
            place.video_id,
            place.correction,
            0,
        )
        return self._sealed(payload)

    def decode_search(
        self, text: str, viewer_id: int, search: bytes, field: str = "cursor"
    ) -> SearchPlace:
        """Return the place, or raise `BadCursorError` like `decode`."""
        payload = self._opened(text, SEARCH_VERSION, field)
        (
            _,
            issued_at,
            viewer_tag,
            search_tag,
            flags,
            as_of_ms,
            relevance_ppm,
            published_at_ms,
            video_id,
            correction,
            _,
        ) = SEARCH_HEAD.unpack(payload)
        if viewer_tag != self._viewer_tag(viewer_id):
            raise bad_cursor("foreign-viewer", field)
        if search_tag != self._search_tag(search):
            raise bad_cursor("foreign-search", field)
        self._require_young(issued_at, field)
        return SearchPlace(
            as_of_ms=as_of_ms,
            relevance_ppm=relevance_ppm,
            published_at_ms=published_at_ms,
            video_id=video_id,
            correction=correction,
            is_relaxed=bool(flags & RELAXED),
            is_stand_in=bool(flags & ELSEWHERE),
        )

    def _require_young(self, issued_at: int, field: str) -> None:
        if self._clock() - issued_at > self._lifetime_seconds:
            raise bad_cursor("expired", field)

    def _sealed(self, payload: bytes) -> str:
        return urlsafe_b64encode(payload + self._sign(payload)).rstrip(b"=").decode()

    def _opened(self, text: str, version: int, field: str) -> bytes:
        """Return the payload of a cursor we signed, and of this version."""
        try:
            # A lone last character cannot carry a byte: drop it, and the length tells.
            whole = text[:-1] if len(text) % 4 == 1 else text
            raw = urlsafe_b64decode(whole.encode("ascii") + b"=" * (-len(whole) % 4))
        except (Base64Error, ValueError) as exc:
            raise bad_cursor("forged", field) from exc
        if raw and raw[0] not in HEADS:
            raise bad_cursor("forged", field)
        head = HEADS[raw[0] if raw else version]
        if len(raw) < head.size:
            raise bad_cursor("truncated", field)
        end = head.size + raw[head.size - 1]
        if len(raw) < end + SIGNATURE_BYTES:
            raise bad_cursor("truncated", field)
        # Base64 ignores characters outside its alphabet and spare bits: one text per cursor.
        if urlsafe_b64encode(raw).rstrip(b"=").decode() != text or len(raw) > end + SIGNATURE_BYTES:
            raise bad_cursor("forged", field)
        payload = raw[:end]
        if not hmac.compare_digest(self._sign(payload), raw[end:]):
            raise bad_cursor("forged", field)
        if raw[0] != version:
            raise bad_cursor("foreign-surface", field)
        return payload

    def _sign(self, payload: bytes) -> bytes:
        return hmac.digest(self._key, payload, "sha256")[:SIGNATURE_BYTES]

    def _tag_of_viewer(self, viewer_id: int) -> int:
        digest = hmac.digest(self._viewer_key, viewer_id.to_bytes(8, "big"), "sha256")
        return int.from_bytes(digest[:4], "big")

    def _search_tag(self, search: bytes) -> bytes:
        return hmac.digest(self._viewer_key, b"search:" + search, "sha256")[:8]

    def _item_tag(self, item_type: ItemType, item_id: int) -> bytes:
        return hmac.digest(self._viewer_key, f"{item_type}:{item_id}".encode(), "sha256")[:8]
