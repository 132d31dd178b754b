"""
What a write changes for pages that come after it: noted in Redis before the write is answered.

A touch sets a random mark. A snapshot is served as a first page only under the mark that was there
before it was ranked; so one that was begun before the write is not, however the two overlap, and
no clock is compared. Beside the mark stands the write's position in change capture, for the next
ranking to wait for (`landed.py`).

What must leave every later page, also of snapshots that exist, needs no ranking: what was seen
goes into the seen filter, who is hidden and what was deleted into sets, and pages are cut without.

Nothing here depends on the order in which touches arrive, also from several processes.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import struct
from collections import deque
from collections.abc import Iterable, Sequence
from hashlib import sha1
from itertools import islice
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import structlog
from msgspec import Struct
from redis.exceptions import NoScriptError

from api.counters.counts import ItemType
from api.metrics import TOUCHES_LATE, TOUCHES_LOST
from api.settings import Settings
from api.snapshots import seen
from api.snapshots.exclusions import (
    DELETED_MOST,
    HIDDEN_MOST,
    Hiding,
    deleted_key,
    hidden_key,
    packed_id,
)
from api.snapshots.largeposts import POSTS_KEPT_SECONDS, POSTS_KEY, POSTS_MOST
from api.stores import RedisStore, StoreUnavailableError

NOTE_TOUCH = (
    f"local BITS = {seen.BITS}\nlocal HASHES = {seen.HASHES}\n"
    + (Path(__file__).parent / "lua" / "note_touch.lua").read_text()
)

# Longer than what was made before a touch lives: a snapshot a day, its cursors two hours.
KEPT_SECONDS = 2 * seen.DAY_SECONDS

HASHES = struct.Struct(">HH")

AT_ONCE = 250  # touches of one round trip (count)
LATE_MOST = 5_000  # touches kept while Redis is away (count)
AGAIN_SECONDS = 0.1  # first pause before they are tried again; doubles
LONGEST_PAUSE_SECONDS = 1.0

log = structlog.get_logger(__name__)


# Lists of users to follow are touched apart: liking something does not rank them anew.
FOLLOWS: Final = "follows"
Touched = ItemType | Literal["follows"]
ALL_LISTS: Sequence[Touched] = ("video", "post", FOLLOWS)


class Call(NamedTuple):
    """One run of `lua/note_touch.lua`."""

    keys: list[str]
    arguments: list[Any]


class Touch(Struct, frozen=True, kw_only=True):
    """
    What one write changes for one viewer, and, where it deletes posts, for everybody.

    `txid` is the write's transaction, None when nothing was written; it counts when `is_reranked`.
    Then first pages of feeds of these types of items are ranked anew, and with `follows` the users
    the viewer is suggested, after the write has landed in ClickHouse or a bounded wait. Seen items
    and hidden users leave every later page at once, also of snapshots made before; who is hidden no
    longer comes back. Deleted posts leave everybody's.
    """

    viewer_id: int
    txid: int | None = None
    is_reranked: bool = False
    item_types: Sequence[Touched] = ("video", "post")
    seen_videos: Sequence[int] = ()
    seen_posts: Sequence[int] = ()
    hidings: Sequence[Hiding] = ()
    deleted_posts: Sequence[int] = ()

    @property
    def is_empty(self) -> bool:
        """Say whether it changes nothing."""
        return not (
            self.is_reranked
            or self.seen_videos
            or self.seen_posts
            or self.hidings
            or self.deleted_posts
        )


def touched_key(viewer_id: int) -> str:
    """Return the key of a viewer's marks and positions, by type of item."""
    return f"touched:v1:{{{viewer_id}}}"


def position_field(item_type: Touched) -> str:
    """Return the field of `touched_key` that holds the position; the mark's is the type itself."""
    return f"{item_type}:position"


class Touches:
    """
    Notes touches; never raises.

    What Redis did not take is kept, a bounded number, and tried again until it does: its snapshots
    may have outlived the failure.
    """

    def __init__(self, redis: RedisStore, settings: Settings) -> None:
        self._redis = redis
        self._is_timed = not settings.has_positions
        self._sha = sha1(NOTE_TOUCH.encode(), usedforsecurity=False).hexdigest()
        self._late: deque[Call] = deque()
        self._retrying: asyncio.Task[None] | None = None
        self._is_closing = False

    async def note(self, *touches: Touch) -> None:
        """Tell Redis in one round trip."""
        calls = [self._call(touch) for touch in touches if not touch.is_empty]
        if not calls:
            return
        try:
            await self._send(calls)
        except StoreUnavailableError:
            TOUCHES_LATE.inc(len(calls))
            self._keep(calls)

    async def posted(
        self, author_id: int, follower_ids: Sequence[int] | None, txid: int | None
    ) -> None:
        """
        Have followers' feeds of posts ranked anew after a post came or went.

        Without a list of followers (too many) the author is noted instead, and readers find out
        whether they follow them: see `largeposts.py`.
        """
        if follower_ids is None:
            await self._note_large(author_id, txid)
            return
        for start in range(0, len(follower_ids), AT_ONCE):
            await self.note(
                *(
                    Touch(viewer_id=follower, txid=txid, is_reranked=True, item_types=("post",))
                    for follower in follower_ids[start : start + AT_ONCE]
                )
            )

    @property
    def late(self) -> int:
        """How many touches Redis has still to be told (count)."""
        return len(self._late)

    async def close(self) -> None:
        """Give up on what Redis has not taken by now."""
        self._is_closing = True
        if self._retrying is not None:
            self._retrying.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._retrying

    # ---------- sending

    def _call(self, touch: Touch) -> Call:
        """Return keys and arguments of `lua/note_touch.lua`."""
        keys = [
            touched_key(touch.viewer_id),
            seen.keys(touch.viewer_id, "video")[0],
            seen.keys(touch.viewer_id, "post")[0],
            hidden_key(touch.viewer_id),
            deleted_key("post"),
        ]
        item_types = touch.item_types if touch.is_reranked else ()
        arguments: list[Any] = [
            secrets.token_hex(8),
            self._position(touch.txid),
            KEPT_SECONDS,
            HIDDEN_MOST,
            packed_hashes(touch.seen_videos),
            packed_hashes(touch.seen_posts),
            b"".join(map(packed_id, touch.deleted_posts)),
            DELETED_MOST,
            len(item_types),
            *item_types,
        ]
        for hiding in touch.hidings:
            arguments += [hiding.score, hiding.member]
        return Call(keys, arguments)

    def _position(self, txid: int | None) -> int | str:
        if txid is None:
            return ""
        return "now" if self._is_timed else txid

    async def _send(self, calls: Sequence[Call]) -> None:
        await self._redis.run(lambda: self._run(calls))

    async def _run(self, calls: Sequence[Call]) -> None:
        client = self._redis.client

        async def run() -> None:
            pipeline = client.pipeline(transaction=False)
            for call in calls:
                pipeline.evalsha(self._sha, len(call.keys), *call.keys, *call.arguments)
            await pipeline.execute()

        try:
            await run()
        except NoScriptError:  # the first time, and whenever Redis begins anew
            await client.script_load(NOTE_TOUCH)
            await run()

    async def _note_large(self, author_id: int, txid: int | None) -> None:
        position = self._position(txid)
        if position == "":
            return
        fields: dict[Any, Any] = {"author": author_id, "position": position}
        client = self._redis.client

        async def tell() -> None:
            pipeline = client.pipeline(transaction=False)
            pipeline.xadd(POSTS_KEY, fields, maxlen=POSTS_MOST)
            pipeline.expire(POSTS_KEY, POSTS_KEPT_SECONDS)
            await pipeline.execute()

        try:
            await self._redis.run(tell)
        except StoreUnavailableError:
            TOUCHES_LOST.inc()

    # ---------- while Redis is away

    def _keep(self, calls: Sequence[Call]) -> None:
        self._late.extend(calls)
        while self.late > LATE_MOST:
            self._late.popleft()
            TOUCHES_LOST.inc()
        if self._retrying is None or self._retrying.done():
            self._retrying = asyncio.create_task(self._send_late())

    async def _send_late(self) -> None:
        pause = AGAIN_SECONDS
        while self._late and not self._is_closing:
            await asyncio.sleep(pause)
            calls = list(islice(self._late, AT_ONCE))
            try:
                await self._send(calls)
            except StoreUnavailableError:
                pause = min(max(2 * pause, AGAIN_SECONDS), LONGEST_PAUSE_SECONDS)
                continue
            pause = 0.0
            for call in calls:
                # Not there any more when it was given up meanwhile for newer ones.
                if self._late and self._late[0] is call:
                    self._late.popleft()
        log.info("late touches noted")


def packed_hashes(item_ids: Iterable[int]) -> bytes:
    """Return the start and step of items in the seen filter, 4 bytes each item."""
    return b"".join(HASHES.pack(*seen.hashes(item_id)) for item_id in item_ids)
