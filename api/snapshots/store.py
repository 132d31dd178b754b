"""Snapshots in Redis: one script reads a page, one keeps a snapshot."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast
from uuid import uuid4

from redis.asyncio import Redis

from api.counters.near import NearCounters
from api.cursor import Cursor, Surface
from api.limits import CHARGE_LUA, WINDOW_MS, Limiter, Verdict, viewer_key
from api.redisline import NoReplyError
from api.settings import Settings
from api.snapshots import seen
from api.snapshots.exclusions import (
    NOTHING,
    Exclusions,
    deleted_key,
    hidden_key,
    hidden_users,
    packed_id,
)
from api.snapshots.snapshot import (
    BLOCK_ITEMS,
    HIGHEST_KEY,
    PLACE,
    Slice,
    Snapshot,
    SnapshotKey,
    lines_of,
    meta_of,
    unpacked,
)
from api.snapshots.touches import position_field, touched_key
from api.stores import RedisStore

LUA = Path(__file__).parent / "lua"

T = TypeVar("T")

# Whoever ranks has this long beyond the query's timeout before somebody else may try.
LOCK_SPARE_MS = 500
# How much longer than cursors what a walk needs is kept with each page.
SPARE_SECONDS = 60


class Owner(NamedTuple):
    """Whose snapshots: one viewer's, on one surface."""

    surface: Surface
    viewer_id: int

    @property
    def prefix(self) -> str:
        """Beginning of every key; the braces keep a viewer in one slot of a Redis cluster."""
        return f"feed:{self.surface.slug}:v4:{{{self.viewer_id}}}:"

    @property
    def walks_prefix(self) -> str:
        """Beginning of the keys of walks, which may go on in another ranking of the family."""
        return Owner(self.surface.family, self.viewer_id).prefix

    def head(self, variant: str) -> str:
        """Key that names the viewer's current snapshot."""
        return f"{self.prefix}head:{variant}"

    def lock(self, variant: str, mark: str = "") -> str:
        """Key of who ranks under a mark; `lua/read_page.lua` adds the mark by itself."""
        return f"{self.head(variant)}:lock:{mark}"

    def snapshot(self, key: SnapshotKey) -> str:
        """Key of a snapshot."""
        return f"{self.walks_prefix}snapshot:{key.session.hex()}:{key.generation}"

    def shown(self, session: bytes) -> str:
        """Key of what a walk has been shown, by generation."""
        return f"{self.walks_prefix}shown:{session.hex()}"


class Touched(NamedTuple):
    """The mark of a viewer's last touch, and the position of their last write; see `touches.py`."""

    mark: str
    position: int


UNTOUCHED = Touched("", 0)


class Reply(NamedTuple):
    """
    What Redis said to one read: the verdict, and a page or what is needed to make one.

    A page of the viewer's current snapshot comes with the position that had landed when it was
    ranked, the one that what ranks was made of, and up to which post of a large author it was
    checked.
    """

    verdict: Verdict | None
    page: Slice | None = None
    touched: Touched = UNTOUCHED
    shall_rank: bool = False
    excluded: Exclusions = NOTHING
    ranked_position: int = 0
    refreshed_position: int = 0
    checked: str = ""


class Hit(NamedTuple):
    """A page, what the limiter said of the request for it, and if its counters are of now."""

    verdict: Verdict
    page: Slice
    is_live: bool


class SnapshotStore:
    """Reads and keeps snapshots; every method may raise `StoreUnavailableError`."""

    def __init__(self, redis: RedisStore, limiter: Limiter, settings: Settings) -> None:
        self._redis = redis
        self._limiter = limiter
        self._ttl_seconds = settings.snapshot_ttl_seconds
        self._kept_seconds = settings.stale_ttl_seconds
        # One token per process: misses within a process are collapsed before the lock.
        self._token = uuid4().hex
        client: Redis = redis.client
        constants = {
            "WINDOW_MS": WINDOW_MS,
            "TTL": settings.snapshot_ttl_seconds,
            "SPARE": SPARE_SECONDS,
            "LOCK_MS": settings.clickhouse_timeout_ms + settings.landing_wait_ms + LOCK_SPARE_MS,
            "BLOCK_ITEMS": BLOCK_ITEMS,
            "BITS": seen.BITS,
            "HASHES": seen.HASHES,
            "PLACE": PLACE.size,
        }
        head = "\n".join(f"local {name} = {value}" for name, value in constants.items())
        body = (LUA / "read_page.lua").read_text()
        self._read = client.register_script(f"{head}\n{CHARGE_LUA}\n{body}")
        redis.line.load(str(self._read.script))
        self._save = client.register_script((LUA / "save_snapshot.lua").read_text())
        self._mark_checked = client.register_script((LUA / "mark_checked.lua").read_text())

    async def read_head(
        self,
        owner: Owner,
        variant: str,
        limit: int,
        *,
        oldest_ms: int,
        release_ms: int,
        is_charged: bool = True,
        wants_lock: bool = True,
    ) -> Reply:
        """
        Return a first page from the viewer's current snapshot, if it is young enough.

        It was ranked after the viewer's last touch, which is not to say that the write had landed.
        """
        return await self._run_read(
            owner,
            variant,
            mode="head",
            key=None,
            position=0,
            limit=limit,
            oldest_ms=oldest_ms,
            release_ms=release_ms,
            is_charged=is_charged,
            wants_lock=wants_lock,
        )

    async def read_last_good(self, owner: Owner, variant: str, limit: int) -> Reply:
        """Return a first page from the viewer's last snapshot, whatever happened since."""
        return await self._run_read(
            owner,
            variant,
            mode="any head",
            key=None,
            position=0,
            limit=limit,
            oldest_ms=0,
            release_ms=0,
            is_charged=False,
            wants_lock=False,
        )

    async def read_at(
        self, owner: Owner, cursor: Cursor, limit: int, *, is_charged: bool = True
    ) -> Reply:
        """Return the page a cursor stands at, if its snapshot is still there."""
        return await self._run_read(
            owner,
            cursor.variant,
            mode="cursor",
            key=SnapshotKey(cursor.session, cursor.generation),
            position=cursor.position,
            limit=limit,
            oldest_ms=0,
            release_ms=0,
            is_charged=is_charged,
            wants_lock=False,
        )

    async def read_hit(
        self,
        owner: Owner,
        variant: str,
        limit: int,
        cursor: Cursor | None,
        *,
        oldest_ms: int,
        release_ms: int,
        counters: NearCounters,
    ) -> Hit | None:
        """
        Return a page if one trip to Redis finds it, with live counters if its items are whole.

        When not, nothing was charged and nothing happened; the other methods say what to do.
        """
        key = SnapshotKey(cursor.session, cursor.generation) if cursor else None
        keys, args = self._call(
            owner,
            variant,
            mode="cursor" if cursor else "head",
            key=key,
            position=cursor.position if cursor else 0,
            limit=limit,
            oldest_ms=oldest_ms,
            release_ms=release_ms,
            is_charged=True,
            wants_lock=False,
            wants_hit=True,
        )
        try:
            raw = await self._redis.line.ask("EVALSHA", self._read.sha, len(keys), *keys, *args)
        except NoReplyError:
            return None
        if not raw:
            return None
        verdict, _, _, _, *found, _, _, _ = cast("list[Any]", raw)
        start = cursor.position if cursor else 0
        try:
            items = _chosen(found, start, lambda block: counters.tail.split(unpacked(block)))
        except ValueError:  # some have no card yet
            bodies, is_live = _chosen(found, start, lines_of), False
        else:
            bodies, is_live = await counters.live(items), True
        return Hit(self._limiter.verdict(verdict), _slice(found, key, bodies), is_live)

    async def _run_read(
        self,
        owner: Owner,
        variant: str,
        *,
        mode: str,
        key: SnapshotKey | None,
        position: int,
        limit: int,
        oldest_ms: int,
        release_ms: int,
        is_charged: bool,
        wants_lock: bool,
    ) -> Reply:
        keys, args = self._call(
            owner,
            variant,
            mode=mode,
            key=key,
            position=position,
            limit=limit,
            oldest_ms=oldest_ms,
            release_ms=release_ms,
            is_charged=is_charged,
            wants_lock=wants_lock,
        )
        raw = await self._redis.run(lambda: self._read(keys=keys, args=args))
        verdict_of, *reply = cast("list[Any]", raw)
        verdict = self._limiter.verdict(verdict_of) if is_charged else None
        if not reply:
            return Reply(verdict)
        is_found, mark, wanted_position, *rest = reply
        to = Touched(mark.decode(), int(wanted_position))
        if not is_found:
            shall_rank, today, yesterday, hidden = rest
            decisions = zip(hidden[::2], map(float, hidden[1::2]), strict=True)
            excluded = Exclusions(seen.Seen(today, yesterday), hidden_users(decisions))
            return Reply(verdict, touched=to, shall_rank=bool(shall_rank), excluded=excluded)
        *found, ranked_position, refreshed_position, checked = rest
        return Reply(
            verdict,
            _slice(found, key, _chosen(found, position, lines_of)),
            to,
            ranked_position=int(ranked_position),
            refreshed_position=int(refreshed_position),
            checked=checked.decode(),
        )

    def _call(
        self,
        owner: Owner,
        variant: str,
        *,
        mode: str,
        key: SnapshotKey | None,
        position: int,
        limit: int,
        oldest_ms: int,
        release_ms: int,
        is_charged: bool,
        wants_lock: bool,
        wants_hit: bool = False,
    ) -> tuple[list[str], list[str | int]]:
        """Return keys and arguments of `lua/read_page.lua`."""
        head = owner.head(variant)
        item_type = owner.surface.item_type
        touched = (item_type, position_field(item_type)) if owner.surface.is_personal else ("", "")
        keys = [
            viewer_key(owner.viewer_id),
            head,
            owner.snapshot(key) if key else head,
            owner.shown(key.session) if key else head,
            owner.lock(variant),
            *seen.keys(owner.viewer_id, item_type),
            touched_key(owner.viewer_id),
            hidden_key(owner.viewer_id),
            deleted_key(item_type),
        ]
        args = [
            self._limiter.per_minute if is_charged else 0,
            mode,
            position,
            limit,
            oldest_ms,
            release_ms,
            owner.walks_prefix,
            self._token if wants_lock else "",
            *touched,
            "hit" if wants_hit else "",
        ]
        return keys, args

    async def keep(
        self,
        owner: Owner,
        snapshot: Snapshot,
        *,
        variant: str,
        release_ms: int = 0,
        is_head: bool = False,
        mark: str = "",
        ranked_position: int = 0,
        refreshed_position: int = 0,
        checked: str = "",
        shown_before: Sequence[int] | None = None,
    ) -> None:
        """
        Keep a snapshot and what its walk will have been shown at its end.

        A head was ranked under `mark`, when everything up to `ranked_position` had landed and what
        ranks was made of everything up to `refreshed_position`, and has the posts of large authors
        up to the entry `checked`.
        `shown_before` rebuilds the list of a walk whose own was lost. An empty ranking is not kept:
        it would hide the first items of a new catalogue for a minute.
        """
        key = snapshot.key
        shown = {key.generation: snapshot.ids}
        if shown_before is not None and key.generation:
            shown |= {number: [] for number in range(1, key.generation)}
            shown[0] = list(shown_before)
        pairs = [part for number, ids in shown.items() for part in (number, pack_ids(ids))]
        fields = [part for pair in snapshot.pack().items() for part in pair]
        await self._redis.run(
            lambda: self._save(
                keys=[
                    owner.snapshot(key),
                    owner.shown(key.session),
                    owner.head(variant),
                    owner.lock(variant, mark),
                    touched_key(owner.viewer_id),
                ],
                args=[
                    self._ttl_seconds,
                    self._kept_seconds,
                    "head" if is_head else "",
                    key.session.hex(),
                    snapshot.as_of_ms,
                    release_ms,
                    owner.walks_prefix,
                    self._token if is_head else "",
                    mark,
                    owner.surface.item_type if owner.surface.is_personal else "",
                    ranked_position,
                    refreshed_position,
                    checked,
                    len(shown),
                    *pairs,
                    *fields,
                ],
            )
        )

    async def unlock(self, owner: Owner, variant: str, mark: str) -> None:
        """Let somebody else rank, at once: we could not."""
        name = owner.lock(variant, mark)
        await self._redis.run(lambda: self._redis.client.delete(name))

    async def mark_checked(self, owner: Owner, variant: str, key: SnapshotKey, entry: str) -> None:
        """Note up to which post of a large author the current snapshot was checked."""
        await self._redis.run(
            lambda: self._mark_checked(keys=[owner.head(variant)], args=[key.session.hex(), entry])
        )

    async def load(self, owner: Owner, key: SnapshotKey) -> Snapshot | None:
        """Return a whole snapshot."""
        fields = cast(
            "Mapping[bytes, bytes]",
            await self._redis.run(lambda: self._redis.client.hgetall(owner.snapshot(key))),
        )
        return Snapshot.unpack(key, dict(fields)) if b"places" in fields else None

    async def deleted(self, owner: Owner, item_ids: Sequence[int]) -> frozenset[int]:
        """Return which of some items were deleted."""
        if not item_ids:
            return frozenset()
        scores = cast(
            "list[float | None]",
            await self._redis.run(
                lambda: self._redis.client.zmscore(
                    deleted_key(owner.surface.item_type),
                    cast("list[str]", [packed_id(item) for item in item_ids]),
                )
            ),
        )
        return frozenset(
            item for item, score in zip(item_ids, scores, strict=True) if score is not None
        )

    async def excluded(self, owner: Owner) -> Exclusions:
        """Return what the viewer wants on no page."""

        async def read() -> list[Any]:
            pipeline = self._redis.client.pipeline(transaction=False)
            pipeline.mget(*seen.keys(owner.viewer_id, owner.surface.item_type))
            pipeline.zrange(hidden_key(owner.viewer_id), 0, -1, withscores=True)
            return await pipeline.execute()

        bitmaps, hidden = await self._redis.run(read)
        return Exclusions(seen.Seen(*(bitmap or b"" for bitmap in bitmaps)), hidden_users(hidden))

    async def shown(self, owner: Owner, key: SnapshotKey) -> list[int] | None:
        """Return everything the walk was shown up to a generation; None when a part is lost."""
        fields = cast(
            "Mapping[bytes, bytes]",
            await self._redis.run(lambda: self._redis.client.hgetall(owner.shown(key.session))),
        )
        lists = [fields.get(b"%d" % number) for number in range(key.generation + 1)]
        if any(ids is None for ids in lists):
            return None
        return [item_id for ids in lists if ids for item_id in unpack_ids(ids)]


def _chosen(reply: list[Any], start: int, items_of: Callable[[bytes], list[T]]) -> list[T]:
    """Return the items of a page, of the blocks that hold it."""
    _, _, _, position, chosen, _, _, first, blocks = reply
    items = [item for block in blocks for item in items_of(block)]
    offset = first * BLOCK_ITEMS
    if isinstance(chosen, int):
        return items[start - offset : position - offset]
    return [items[index - offset] for index in chosen]


def _slice(reply: list[Any], key: SnapshotKey | None, bodies: list[bytes]) -> Slice:
    session, meta, total, position, _, place, lowest, *_ = reply
    lowest_key = HIGHEST_KEY
    about = meta_of(meta)
    fingerprint = about.walked
    if place:
        fingerprint = PLACE.unpack(place)[3]
        lowest_id, lowest_score, *_ = PLACE.unpack(lowest)
        lowest_key = lowest_score, lowest_id
    return Slice(
        key=key or SnapshotKey(bytes.fromhex(session.decode()), 0),
        as_of_ms=about.as_of_ms,
        total=total,
        bodies=bodies,
        next_position=position,
        fingerprint=fingerprint,
        lowest=lowest_key,
    )


def pack_ids(ids: Sequence[int]) -> bytes:
    """Return ids as 8 bytes each."""
    return struct.pack(f">{len(ids)}Q", *ids)


def unpack_ids(packed: bytes) -> list[int]:
    """Return the ids of `pack_ids`."""
    return list(struct.unpack(f">{len(packed) // 8}Q", packed))


def now_ms() -> int:
    """Return this clock (milliseconds since 1970)."""
    return time.time_ns() // 1_000_000
