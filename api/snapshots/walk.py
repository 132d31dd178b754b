"""
A viewer's walk through a ranking: first page, next page, and "anything new?".

Knows Redis and the order of fallbacks; knows neither HTTP nor how anything is ranked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple, TypeVar

import structlog
from msgspec import Struct

from api.cursor import Cursor, CursorCodec, Surface
from api.errors import RETRY_AFTER_SECONDS, UnavailableError
from api.limits import Limiter, Verdict, refusal
from api.metrics import FEED_PAGES, RANKING_ROWS
from api.settings import Settings
from api.snapshots.exclusions import NOTHING, Exclusions
from api.snapshots.landed import LandedWatch
from api.snapshots.largeposts import LargePosts
from api.snapshots.ranking import RankedItem, Ranking
from api.snapshots.releases import ReleaseWatch
from api.snapshots.snapshot import HIGHEST_KEY, Key, Slice, Snapshot, SnapshotKey
from api.snapshots.store import Owner, Reply, SnapshotStore, Touched, now_ms
from api.stores import StoreUnavailableError

Degraded = Literal["none", "no_cache", "stale", "timeline"]

LOCK_POLL_SECONDS = 0.02
# A page is filled from at most this many rankings (count); each but the last is one page's tail.
RANKINGS_PER_PAGE = 5
# A lost walk is retraced through at most this many rankings (count), one query each.
RETRACED_RANKINGS = 8

log = structlog.get_logger(__name__)

T = TypeVar("T")


class Page(Struct, frozen=True):
    """What a walk hands to a controller: items as JSON, and how they came about."""

    surface: Surface
    bodies: list[bytes]
    has_more: bool
    next_cursor: str | None
    variant: str
    as_of_ms: int
    total: int
    cache_hit: bool
    degraded: Degraded
    verdict: Verdict | None

    @property
    def is_fallback(self) -> bool:
        """Say whether something older or simpler than the ranking asked for was served."""
        return self.degraded in ("stale", "timeline")


class Standing(NamedTuple):
    """A snapshot to go on in, the place to start from, and whether Redis holds it."""

    snapshot: Snapshot
    position: int
    is_kept: bool
    degraded: Degraded


class Need(NamedTuple):
    """
    What a ranking of now must not be older than: a touch of the viewer, and what has landed.

    `position` is the last write it has to include, 0 when that write could not be waited for.
    `is_met` says that the page that was found includes it all.
    """

    mark: str = ""
    position: int = 0
    is_met: bool = False


class Retraced(NamedTuple):
    """The snapshot a lost walk stands in, made again, and what was shown before it."""

    snapshot: Snapshot
    shown_before: list[int]


class Flights:
    """Collapses concurrent calls with one key into one; a caller that leaves cancels nobody."""

    def __init__(self) -> None:
        self._tasks: dict[Hashable, asyncio.Task[Any]] = {}

    async def join(self, key: Hashable, work: Callable[[], Awaitable[T]]) -> T:
        """Await the call under way for a key, or start it."""
        task = self._tasks.get(key)
        if task is None:
            task = asyncio.ensure_future(self._fly(key, work))
            # When everybody has left, nobody else looks at how it ended.
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
            self._tasks[key] = task
        result: T = await asyncio.shield(task)
        return result

    async def land(self) -> None:
        """Wait for the calls under way; their callers may have left."""
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _fly(self, key: Hashable, work: Callable[[], Awaitable[T]]) -> T:
        try:
            return await work()
        finally:
            del self._tasks[key]


class Walks:
    """Walks of all viewers on all surfaces, of one process."""

    def __init__(
        self,
        store: SnapshotStore,
        limiter: Limiter,
        releases: ReleaseWatch,
        landed: LandedWatch,
        large_posts: LargePosts,
        cursors: CursorCodec,
        settings: Settings,
    ) -> None:
        self._store = store
        self._limiter = limiter
        self._releases = releases
        self._landed = landed
        self._large_posts = large_posts
        self._cursors = cursors
        self._fresh_ms = settings.snapshot_fresh_seconds * 1000
        self._rank_seconds = settings.clickhouse_timeout_ms / 1000
        self._session_max = settings.max_session_items
        self._flights = Flights()

    async def start(self) -> None:
        """Begin to watch how far change capture is, and who posts."""
        await self._landed.start()
        await self._large_posts.start()

    async def close(self) -> None:
        """Let rankings under way finish; each is bounded by its timeout."""
        await self._flights.land()
        await self._large_posts.stop()
        await self._landed.stop()

    # ---------- the three questions

    async def first_page(self, ranking: Ranking, viewer_id: int, variant: str, limit: int) -> Page:
        """Return the top of the viewer's ranking."""
        owner = Owner(ranking.surface, viewer_id)
        reply = await self._read_head(owner, variant, limit)
        need = await self._need(owner, variant, reply)
        if reply is not None and reply.page is not None:
            if need.is_met:
                walk = Walk(self, ranking, owner, variant, is_hit=True, verdict=reply.verdict)
                return await walk.page(reply.page, limit)
            # A hit that is not good enough did not read what the next cut has to leave out.
            excluded = await self.excluded(owner)
        else:
            excluded = reply.excluded if reply else NOTHING
        verdict = reply.verdict if reply else None
        degraded: Degraded = "none" if reply else "no_cache"
        try:
            snapshot, is_kept = await self._fresh(
                ranking, owner, variant, need, shall_rank=shall_rank(reply)
            )
        except StoreUnavailableError:
            return await self._stale_page(ranking, owner, variant, limit, verdict)
        walk = Walk(
            self,
            ranking,
            owner,
            variant,
            is_hit=False,
            degraded=degraded if is_kept else "no_cache",
            excluded=excluded,
            verdict=verdict,
        )
        return await walk.page(snapshot.slice(0, limit, excluded), limit)

    async def next_page(self, ranking: Ranking, viewer_id: int, cursor: Cursor, limit: int) -> Page:
        """Return what follows a cursor; never what the walk has shown before."""
        owner = Owner(ranking.surface, viewer_id)
        reply = await self._optional(lambda: self._store.read_at(owner, cursor, limit))
        if reply is not None:
            self._refuse_over_limit(reply)
        verdict = reply.verdict if reply else None
        if reply is not None and reply.page is not None:
            walk = Walk(
                self,
                ranking,
                owner,
                cursor.variant,
                is_hit=True,
                degraded="stale" if cursor.is_stale else "none",
                lowest=cursor.lowest,
                verdict=verdict,
            )
            return await walk.page(reply.page, limit)
        excluded = reply.excluded if reply else NOTHING
        try:
            standing = await self.way_back(ranking, owner, cursor, is_redis_up=reply is not None)
        except StoreUnavailableError as exc:
            raise unavailable() from exc
        walk = Walk(
            self,
            ranking,
            owner,
            cursor.variant,
            is_hit=False,
            degraded=standing.degraded,
            lowest=cursor.lowest,
            excluded=excluded,
            verdict=verdict,
        )
        return await walk.page(standing.snapshot.slice(standing.position, limit, excluded), limit)

    async def since(
        self, ranking: Ranking, viewer_id: int, cursor: Cursor, limit: int, cursor_text: str
    ) -> Page:
        """
        Return what a ranking of now has that the cursor's walk had not; the walk stays where it is.

        The snapshot the walk is in is never the answer, however fresh: it is what was looked at.
        """
        owner = Owner(ranking.surface, viewer_id)
        variant = cursor.variant
        reply = await self._read_head(owner, variant, 1, wants_lock=False)
        verdict = reply.verdict if reply else None
        excluded = await self.excluded(owner)
        need = await self._need(owner, variant, reply)
        is_hit = (
            need.is_met
            and reply is not None
            and reply.page is not None
            and reply.page.key.session != cursor.session
        )
        degraded: Degraded = "none"
        try:
            snapshot: Snapshot | None = None
            if is_hit and reply is not None and reply.page is not None:
                key = reply.page.key
                snapshot = await self._optional(lambda: self._store.load(owner, key))
            if snapshot is None:
                is_hit = False
                snapshot, is_kept = await self._fresh(
                    ranking, owner, variant, need, shall_rank=True
                )
                degraded = "none" if is_kept else "no_cache"
            known = await self._known(ranking, owner, cursor)
        except StoreUnavailableError as exc:
            raise unavailable() from exc
        unseen = [
            item.body
            for item in snapshot.items
            if item.item_id not in known and not excluded.cover(item)
        ]
        return Page(
            surface=ranking.surface,
            bodies=unseen[:limit],
            has_more=len(unseen) > limit,
            next_cursor=cursor_text,
            variant=variant,
            as_of_ms=snapshot.as_of_ms,
            total=len(snapshot.items),
            cache_hit=is_hit,
            degraded=degraded,
            verdict=verdict,
        )

    # ---------- what the viewer's writes ask for

    async def _need(self, owner: Owner, variant: str, reply: Reply | None) -> Need:
        """
        Return what a ranking of now has to include.

        Waits, bounded, for the viewer's last write to land, unless a page was found that includes
        it. What has landed since a page was found, and is not in it, makes `is_met` false.
        """
        if reply is None:
            return Need()
        mark, wanted = reply.touched
        if reply.page is None:
            return Need(mark, wanted if await self._landed.has(wanted) else 0)
        if reply.ranked_position < wanted and await self._landed.has(wanted):
            return Need(mark, wanted)
        return Need(mark, *await self._posts_needed(owner, variant, reply, reply.page))

    async def _posts_needed(
        self, owner: Owner, variant: str, reply: Reply, page: Slice
    ) -> tuple[int, bool]:
        """Return up to which post of large authors the viewer follows, and whether that is met."""
        if owner.surface.item_type != "post":
            return 0, True
        posts = self._large_posts.missing(reply.ranked_position, reply.checked)
        if not posts:
            return 0, True
        authors = sorted({post.author_id for post in posts})
        is_follower = await self._large_posts.is_follower(owner.viewer_id, authors)
        if is_follower:
            return max(post.position for post in posts), False
        if is_follower is False:
            entry = posts[-1].entry.text
            await self._optional(lambda: self._store.mark_checked(owner, variant, page.key, entry))
        return 0, True

    # ---------- ranking

    async def _fresh(
        self,
        ranking: Ranking,
        owner: Owner,
        variant: str,
        need: Need,
        *,
        shall_rank: bool,
    ) -> tuple[Snapshot, bool]:
        """
        Return a snapshot of now and whether Redis holds it; one ranking however many ask.

        Who needs more than another does not share its ranking, which may have begun too early.
        """
        return await self._flights.join(
            ("fresh", owner, variant, need),
            lambda: self._rank_or_wait(ranking, owner, variant, need, shall_rank),
        )

    async def _rank_or_wait(
        self,
        ranking: Ranking,
        owner: Owner,
        variant: str,
        need: Need,
        shall_rank: bool,
    ) -> tuple[Snapshot, bool]:
        release_ms = self._releases.released_ms
        mark = need.mark
        if not shall_rank:
            found = await self._optional(
                lambda: self._others(owner, variant, release_ms, need.position)
            )
            if isinstance(found, Snapshot):
                return found, True
            # Who waited may have been given the lock of a touch that came meanwhile.
            mark = found.mark if found is not None else mark
        ranked_position, as_of_ms = self._landed.position, now_ms()
        try:
            items = await self.rank(ranking, owner, as_of_ms, variant, [])
        except StoreUnavailableError:
            await self._optional(lambda: self._store.unlock(owner, variant, mark))
            raise
        snapshot = Snapshot(SnapshotKey.fresh(), as_of_ms, items)
        if not items:
            await self._optional(lambda: self._store.unlock(owner, variant, mark))
            return snapshot, True
        is_kept = await self.keep(
            owner,
            snapshot,
            variant=variant,
            release_ms=release_ms,
            is_head=True,
            mark=mark,
            ranked_position=ranked_position,
        )
        return snapshot, is_kept

    async def _others(
        self, owner: Owner, variant: str, release_ms: int, position: int
    ) -> Snapshot | Touched | None:
        """
        Wait for the snapshot another process is making; None when none comes in time.

        When it is our turn instead, the touch to rank after: its lock is ours.
        """
        deadline = asyncio.get_running_loop().time() + self._rank_seconds
        while asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(LOCK_POLL_SECONDS)
            reply = await self._store.read_head(
                owner,
                variant,
                1,
                oldest_ms=now_ms() - self._fresh_ms,
                release_ms=release_ms,
                is_charged=False,
            )
            if reply.page is not None:
                if reply.ranked_position < position:
                    return reply.touched
                return await self._store.load(owner, reply.page.key) or reply.touched
            if reply.shall_rank:
                return reply.touched
        return None

    async def rank(
        self,
        ranking: Ranking,
        owner: Owner,
        as_of_ms: int,
        variant: str,
        shown: list[int],
    ) -> list[RankedItem]:
        """Read one ranking from ClickHouse."""
        as_of = datetime.fromtimestamp(as_of_ms / 1000, tz=UTC)
        items = await ranking.ranked(owner.viewer_id, as_of, variant, shown)
        RANKING_ROWS.labels(owner.surface.slug).observe(len(items))
        return items

    async def following(self, ranking: Ranking, owner: Owner, cursor: Cursor) -> Standing | None:
        """
        Return the ranking that follows the one a cursor is at the end of; None when none does.

        It is the same for every retry, because it is kept under the number that follows.
        """
        return await self._flights.join(
            ("following", owner, cursor.session, cursor.generation),
            lambda: self._follow(ranking, owner, cursor),
        )

    async def _follow(self, ranking: Ranking, owner: Owner, cursor: Cursor) -> Standing | None:
        key = SnapshotKey(cursor.session, cursor.generation)
        is_redis_up = True
        shown: list[int] | None = None
        try:
            kept = await self._store.load(owner, key.next())
            if kept is not None:
                return Standing(kept, 0, is_kept=True, degraded="none")
            shown = await self._store.shown(owner, key)
        except StoreUnavailableError:
            is_redis_up = False
        shown_before: list[int] | None = None
        if shown is None:
            retraced = await self._retrace(ranking, owner, cursor)
            if retraced is None:
                return await self._below_lowest(ranking, owner, cursor, is_redis_up)
            shown = shown_before = [*retraced.shown_before, *retraced.snapshot.ids]
        if len(shown) >= self._session_max:
            return None
        # Without Redis the clock stands still, so that the walk can be retraced.
        as_of_ms = now_ms() if is_redis_up else cursor.as_of_ms
        items = await self.rank(ranking, owner, as_of_ms, cursor.variant, shown)
        if not items:
            return None
        items = items[: self._session_max - len(shown)]
        snapshot = Snapshot(key.next(), as_of_ms, items, walked=cursor.fingerprint)
        is_kept = is_redis_up and await self.keep(
            owner, snapshot, variant=cursor.variant, shown_before=shown_before
        )
        return Standing(snapshot, 0, is_kept, "none" if is_kept else "no_cache")

    # ---------- the way back, when Redis lost the snapshot

    async def way_back(
        self, ranking: Ranking, owner: Owner, cursor: Cursor, *, is_redis_up: bool
    ) -> Standing:
        """
        Rank again at the cursor's clock and find the place to go on from.

        Where the rankings up to the cursor are still what the viewer saw, go on at the same place:
        nothing is repeated or skipped. Where they moved, go on strictly below the lowest key the
        walk has shown: nothing is repeated.
        """
        return await self._flights.join(
            ("way back", owner, cursor),
            lambda: self._find_way_back(ranking, owner, cursor, is_redis_up),
        )

    async def _find_way_back(
        self, ranking: Ranking, owner: Owner, cursor: Cursor, is_redis_up: bool
    ) -> Standing:
        retraced = await self._retrace(ranking, owner, cursor)
        if retraced is None:
            return await self._below_lowest(ranking, owner, cursor, is_redis_up)
        is_kept = is_redis_up and await self.keep(
            owner,
            retraced.snapshot,
            variant=cursor.variant,
            shown_before=retraced.shown_before,
        )
        degraded: Degraded = "none" if is_kept else "no_cache"
        return Standing(retraced.snapshot, cursor.position, is_kept, degraded)

    async def _retrace(self, ranking: Ranking, owner: Owner, cursor: Cursor) -> Retraced | None:
        """Make the rankings of a walk again; None when they are not what the viewer saw."""
        if cursor.generation >= RETRACED_RANKINGS:
            return None
        deadline = asyncio.get_running_loop().time() + self._rank_seconds
        shown: list[int] = []
        snapshot = Snapshot(SnapshotKey(cursor.session, 0), cursor.as_of_ms, [])
        for generation in range(cursor.generation + 1):
            self._check(deadline)
            shown += snapshot.ids
            walked = snapshot.fingerprint(len(snapshot.items))
            items = await self.rank(ranking, owner, cursor.as_of_ms, cursor.variant, shown)
            key = SnapshotKey(cursor.session, generation)
            snapshot = Snapshot(key, cursor.as_of_ms, items, walked)
        is_same = (
            cursor.position <= len(snapshot.items)
            and snapshot.fingerprint(cursor.position) == cursor.fingerprint
        )
        return Retraced(snapshot, shown) if is_same else None

    async def _below_lowest(
        self, ranking: Ranking, owner: Owner, cursor: Cursor, is_redis_up: bool
    ) -> Standing:
        """
        Rank at the cursor's clock until something is strictly below the lowest key shown.

        Everything at or above that key counts as shown. It becomes the list of a new walk, since
        the old one's is lost.
        """
        deadline = asyncio.get_running_loop().time() + self._rank_seconds
        shown: list[int] = []
        below: list[RankedItem] = []
        while not below and len(shown) < self._session_max:
            self._check(deadline)
            items = await self.rank(ranking, owner, cursor.as_of_ms, cursor.variant, shown)
            if not items:
                break
            below = [item for item in items if item.key < cursor.lowest]
            shown += [item.item_id for item in items if item.key >= cursor.lowest]
        snapshot = Snapshot(SnapshotKey.fresh().next(), cursor.as_of_ms, below)
        is_kept = bool(
            is_redis_up
            and below
            and await self.keep(owner, snapshot, variant=cursor.variant, shown_before=shown)
        )
        is_fine = is_kept or (is_redis_up and not below)
        return Standing(snapshot, 0, is_kept, "none" if is_fine else "no_cache")

    def _check(self, deadline: float) -> None:
        """Give up when several rankings together take longer than one may."""
        if asyncio.get_running_loop().time() > deadline:
            raise StoreUnavailableError("clickhouse")

    async def _known(self, ranking: Ranking, owner: Owner, cursor: Cursor) -> set[int]:
        """Return every id of the rankings a walk has been in, or at least of its last clock."""
        key = SnapshotKey(cursor.session, cursor.generation)
        shown = await self._optional(lambda: self._store.shown(owner, key))
        if shown is None:
            then = await self.rank(ranking, owner, cursor.as_of_ms, cursor.variant, [])
            shown = [item.item_id for item in then]
        return set(shown)

    # ---------- when ClickHouse is away

    async def _stale_page(
        self,
        ranking: Ranking,
        owner: Owner,
        variant: str,
        limit: int,
        verdict: Verdict | None,
    ) -> Page:
        """
        Return a first page from the last good snapshot, or say that nothing can be served.

        A simpler ranking from another store would be tried here, before giving up.
        """
        reply = await self._optional(lambda: self._store.read_last_good(owner, variant, limit))
        if reply is None or reply.page is None:
            raise unavailable()
        walk = Walk(self, ranking, owner, variant, is_hit=True, degraded="stale", verdict=verdict)
        return await walk.page(reply.page, limit)

    # ---------- Redis may be away

    async def _read_head(
        self, owner: Owner, variant: str, limit: int, *, wants_lock: bool = True
    ) -> Reply | None:
        reply = await self._optional(
            lambda: self._store.read_head(
                owner,
                variant,
                limit,
                oldest_ms=now_ms() - self._fresh_ms,
                release_ms=self._releases.released_ms,
                wants_lock=wants_lock,
            )
        )
        if reply is not None:
            self._refuse_over_limit(reply)
        return reply

    async def excluded(self, owner: Owner) -> Exclusions:
        """Return what must not be on the viewer's pages; nothing while Redis is away."""
        return await self._optional(lambda: self._store.excluded(owner)) or NOTHING

    async def keep(self, owner: Owner, snapshot: Snapshot, **options: Any) -> bool:
        """Keep a snapshot if Redis will have it; says whether it did."""
        kept = await self._optional(lambda: self._kept(owner, snapshot, **options))
        return bool(kept)

    async def _kept(self, owner: Owner, snapshot: Snapshot, **options: Any) -> bool:
        await self._store.keep(owner, snapshot, **options)
        return True

    async def _optional(self, work: Callable[[], Awaitable[T]]) -> T | None:
        try:
            return await work()
        except StoreUnavailableError:
            return None

    def _refuse_over_limit(self, reply: Reply) -> None:
        if reply.verdict is not None and not reply.verdict.is_allowed:
            raise refusal(reply.verdict)

    def cursor_text(self, cursor: Cursor, owner: Owner) -> str:
        """Return a signed cursor."""
        return self._cursors.encode(cursor, owner.viewer_id)


class Walk:
    """One request's step of a walk: fills a page, into the next rankings where one ends."""

    def __init__(
        self,
        walks: Walks,
        ranking: Ranking,
        owner: Owner,
        variant: str,
        *,
        is_hit: bool,
        degraded: Degraded = "none",
        lowest: Key = HIGHEST_KEY,
        excluded: Exclusions | None = None,
        verdict: Verdict | None = None,
    ) -> None:
        self._walks = walks
        self._ranking = ranking
        self._owner = owner
        self._variant = variant
        self._is_hit = is_hit
        self._degraded = degraded
        self._lowest = lowest
        self._excluded = excluded
        self._verdict = verdict
        # The snapshot that is older than what was asked for; the rankings after it are not.
        self._stale_key: SnapshotKey | None = None

    async def page(self, piece: Slice, limit: int) -> Page:
        """
        Return a page that begins with a slice.

        At the end of a ranking the next one is looked for at once: it fills the page, and whether
        there is one is what `has_more` says. When it cannot be read now, it can be later.
        """
        total, as_of_ms = piece.total, piece.as_of_ms
        bodies = list(piece.bodies)
        if self._degraded == "stale":
            self._stale_key = piece.key
        at = self._cursor(piece)
        has_more = True
        for _ in range(RANKINGS_PER_PAGE):
            if not piece.is_last:
                break
            if piece.total == 0:
                has_more = False
                break
            try:
                standing = await self._walks.following(self._ranking, self._owner, at)
            except StoreUnavailableError as exc:
                if not bodies:
                    raise unavailable() from exc
                break
            if standing is None or not standing.snapshot.items:
                has_more = False
                break
            if standing.degraded != "none" and self._degraded == "none":
                self._degraded = standing.degraded
            if self._excluded is None:
                self._excluded = await self._walks.excluded(self._owner)
            piece = standing.snapshot.slice(0, limit - len(bodies), self._excluded)
            bodies += piece.bodies
            at = self._cursor(piece)
        FEED_PAGES.labels(self._owner.surface.slug, self._degraded, str(self._is_hit).lower()).inc()
        return Page(
            surface=self._owner.surface,
            bodies=bodies,
            has_more=has_more,
            next_cursor=self._walks.cursor_text(at, self._owner) if has_more else None,
            variant=self._variant,
            as_of_ms=as_of_ms,
            total=total,
            cache_hit=self._is_hit,
            degraded=self._degraded,
            verdict=self._verdict,
        )

    def _cursor(self, piece: Slice) -> Cursor:
        self._lowest = min(self._lowest, piece.lowest)
        return Cursor(
            surface=self._owner.surface,
            session=piece.key.session,
            generation=piece.key.generation,
            position=piece.next_position,
            as_of_ms=piece.as_of_ms,
            variant=self._variant,
            fingerprint=piece.fingerprint,
            lowest_height=self._lowest[0],
            lowest_id=self._lowest[1],
            is_stale=piece.key == self._stale_key,
        )


def shall_rank(reply: Reply | None) -> bool:
    """Say whether to rank without waiting for others: Redis says so, is away, or had not enough."""
    return reply is None or reply.shall_rank or reply.page is not None


def unavailable() -> UnavailableError:
    """Return the problem for when nothing can be ranked and nothing older can be served."""
    return UnavailableError(
        "The ranking cannot be read right now, and there is no earlier one to serve.",
        headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
    )
