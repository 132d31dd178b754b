"""
A viewer's walk through a ranking: first page, next page, and "anything new?".

Knows Redis and the order of fallbacks; knows neither HTTP nor how anything is ranked.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Hashable, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple, Self, TypeVar, get_args

import msgspec
import structlog
from msgspec import Struct

from api.counters.counts import ItemType
from api.counters.near import NearCounters
from api.cursor import Cursor, CursorCodec, Surface, bad_cursor
from api.errors import RETRY_AFTER_SECONDS, BadCursorError, UnavailableError
from api.limits import Limiter, Verdict, refusal
from api.metrics import FEED_PAGES, RANKING_ROWS
from api.settings import Settings
from api.snapshots.exclusions import NOTHING, Exclusions
from api.snapshots.landed import LandedWatch
from api.snapshots.largeposts import LargePosts
from api.snapshots.ranking import Ranked, RankedItem, Ranking, Rankings
from api.snapshots.releases import ReleaseWatch
from api.snapshots.snapshot import HIGHEST_KEY, Key, Slice, Snapshot, SnapshotKey
from api.snapshots.store import Owner, Reply, SnapshotStore, Touched, now_ms
from api.stores import Stores, StoreUnavailableError

Degraded = Literal["none", "no_cache", "timeline", "stale"]
LEVELS: tuple[Degraded, ...] = get_args(Degraded)  # from good to bad

LOCK_POLL_SECONDS = 0.02
# Whoever is the one to find out whether a store is well again waits this long for the answer, if
# another ranking can stand in; the ranking goes on, and is there for the next request.
PROBE_SECONDS = 0.25
# A page is filled from at most this many rankings (count); each but the last is one page's tail.
RANKINGS_PER_PAGE = 5
# A lost walk is retraced through at most this many rankings (count), one query each.
RETRACED_RANKINGS = 8

log = structlog.get_logger(__name__)

T = TypeVar("T")


class Page(Struct, frozen=True):
    """
    What a walk hands to a controller: items as JSON, and how they came about.

    `surface` is the ranking they are of; where a page goes from one into another, the simpler one.
    `is_live` says that the items are whole and their counters of now.
    """

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
    is_live: bool = False

    @property
    def is_fallback(self) -> bool:
        """Say whether something older or simpler than the ranking asked for was served."""
        return self.degraded in ("stale", "timeline")


class Standing(NamedTuple):
    """A snapshot to go on in, the place to start from, and what was missing to make it."""

    snapshot: Snapshot
    position: int
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
        self._fresh_seconds: dict[ItemType, int] = {
            "video": settings.snapshot_fresh_seconds,
            "post": settings.posts_fresh_seconds,
        }
        self._rank_seconds = settings.clickhouse_timeout_ms / 1000
        self._session_max = settings.max_session_items
        self._flights = Flights()

    @classmethod
    def over(
        cls,
        stores: Stores,
        limiter: Limiter,
        releases: ReleaseWatch,
        landed: LandedWatch,
        cursors: CursorCodec,
        settings: Settings,
    ) -> Self:
        """Return walks over the stores of a process."""
        return cls(
            SnapshotStore(stores.redis, limiter, settings),
            limiter,
            releases,
            landed,
            LargePosts(stores.redis, stores.postgres, landed, settings),
            cursors,
            settings,
        )

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

    async def first_page(
        self, rankings: Rankings, viewer_id: int, variant: str, limit: int
    ) -> Page:
        """Return the top of the viewer's ranking: the one asked for, or what stands in for it."""
        verdict: Verdict | None = None
        for ranking in rankings:
            walk = Walk(self, rankings, ranking, viewer_id, variant, verdict=verdict)
            try:
                return await self._top(walk, limit)
            except StoreUnavailableError:
                verdict = walk.verdict
        return await self._stale_page(rankings, viewer_id, variant, limit, verdict)

    async def _top(self, walk: Walk, limit: int) -> Page:
        """Return the top of one ranking; raises `StoreUnavailableError` when it cannot be read."""
        owner, variant, is_refusing = walk.owner, walk.variant, walk.ranking.circuit.is_refusing
        reply = await self._read_head(
            owner,
            variant,
            limit,
            wants_lock=not is_refusing,
            is_charged=not walk.stands_in,
        )
        if reply is not None and not walk.stands_in:
            walk.verdict = reply.verdict
        need = await self._need(owner, variant, reply, can_wait=not is_refusing)
        if reply is not None and reply.page is not None:
            if need.is_met:
                walk.is_hit = True
                return await walk.page(reply.page, limit)
            # A hit that is not good enough did not read what the next cut has to leave out.
            walk.excluded = await self.excluded(owner)
        else:
            walk.excluded = reply.excluded if reply else NOTHING
        snapshot, is_kept = await self._fresh(walk, need, shall_rank=shall_rank(reply))
        if reply is None or not is_kept:
            walk.fall_to("no_cache")
        return await walk.page(await self.cut(walk, snapshot, 0, limit), limit)

    async def next_page(
        self, rankings: Rankings, viewer_id: int, cursor: Cursor, limit: int
    ) -> Page:
        """Return what follows a cursor; never what the walk has shown before."""
        walk = self._walk_of(rankings, viewer_id, cursor)
        reply = await self._optional(lambda: self._store.read_at(walk.owner, cursor, limit))
        if reply is not None:
            self._refuse_over_limit(reply)
            walk.verdict = reply.verdict
            if reply.page is not None:
                walk.is_hit = True
                return await walk.page(reply.page, limit)
        walk.excluded = reply.excluded if reply else NOTHING
        try:
            standing = await self.way_back(walk, cursor, is_redis_up=reply is not None)
        except StoreUnavailableError as exc:
            raise unavailable() from exc
        walk.fall_to(standing.degraded)
        piece = await self.cut(walk, standing.snapshot, standing.position, limit)
        return await walk.page(piece, limit)

    async def hit(
        self,
        rankings: Rankings,
        viewer_id: int,
        variant: str,
        cursor: Cursor | None,
        limit: int,
        counters: NearCounters,
    ) -> Page | None:
        """
        Return a page if one trip to Redis finds it, `is_live` if its items are whole.

        When not, nothing has happened, and `first_page` or `next_page` answers. Videos only: what
        a page of posts must not be older than is more than Redis can tell in the same trip.
        """
        if cursor is None:
            walk = Walk(self, rankings, rankings[0], viewer_id, variant)
        else:
            walk = self._walk_of(rankings, viewer_id, cursor)
        owner = walk.owner
        if owner.surface.item_type != "video":
            return None
        hit = await self._store.read_hit(
            owner,
            walk.variant,
            limit,
            cursor,
            oldest_ms=self._oldest_ms(owner),
            release_ms=self._releases.released_ms,
            counters=counters,
        )
        if hit is None:
            return None
        walk.verdict, walk.is_hit = hit.verdict, True
        page = await walk.page(hit.page, limit)
        return msgspec.structs.replace(page, is_live=True) if hit.is_live else page

    async def since(
        self, rankings: Rankings, viewer_id: int, cursor: Cursor, limit: int, cursor_text: str
    ) -> Page:
        """
        Return what a ranking of now has that the cursor's walk had not; the walk stays where it is.

        The snapshot the walk is in is never the answer, however fresh: it is what was looked at.
        """
        verdict: Verdict | None = None
        for ranking in rankings:
            walk = Walk(self, rankings, ranking, viewer_id, cursor.variant, verdict=verdict)
            try:
                walk.excluded = await self.excluded(walk.owner)
                snapshot = await self._now(walk, cursor)
                known = await self._known(self._walk_of(rankings, viewer_id, cursor), cursor)
                break
            except StoreUnavailableError:
                verdict = walk.verdict
        else:
            raise unavailable()
        excluded = await self._excluded_of(walk, snapshot.ids)
        unseen = [
            item.body
            for item in snapshot.items
            if item.item_id not in known and not excluded.cover(item)
        ]
        return Page(
            surface=walk.surface,
            bodies=unseen[:limit],
            has_more=len(unseen) > limit,
            next_cursor=cursor_text,
            variant=cursor.variant,
            as_of_ms=snapshot.as_of_ms,
            total=len(snapshot.items),
            cache_hit=walk.is_hit,
            degraded=walk.degraded,
            verdict=walk.verdict,
        )

    async def _now(self, walk: Walk, cursor: Cursor) -> Snapshot:
        """Return a snapshot of now that is not the cursor's."""
        owner, variant, is_refusing = walk.owner, walk.variant, walk.ranking.circuit.is_refusing
        reply = await self._read_head(
            owner, variant, 1, wants_lock=False, is_charged=not walk.stands_in
        )
        if reply is not None and not walk.stands_in:
            walk.verdict = reply.verdict
        need = await self._need(owner, variant, reply, can_wait=not is_refusing)
        if (
            need.is_met
            and reply is not None
            and reply.page is not None
            and reply.page.key.session != cursor.session
        ):
            key = reply.page.key
            kept = await self._optional(lambda: self._store.load(owner, key))
            if kept is not None:
                walk.is_hit = True
                return kept
        snapshot, is_kept = await self._fresh(walk, need, shall_rank=True)
        if not is_kept:
            walk.fall_to("no_cache")
        return snapshot

    async def warm(self, ranking: Ranking, viewer_id: int, variant: str) -> bool:
        """
        See to it that a viewer's next first page is a hit; says whether it had to be ranked here.

        Charges nobody. Raises `StoreUnavailableError`, also when Redis did not take the snapshot.
        """
        owner = Owner(ranking.surface, viewer_id)
        reply = await self._store.read_head(
            owner,
            variant,
            1,
            oldest_ms=self._oldest_ms(owner),
            release_ms=self._releases.released_ms,
            is_charged=False,
        )
        if not reply.shall_rank:  # there is one, or there will be
            return False
        need = Need(reply.touched.mark)
        _, is_kept = await self._flights.join(
            ("fresh", owner, variant, need),
            lambda: self._rank_or_wait(ranking, owner, variant, need, shall_rank=True),
        )
        if not is_kept:
            raise StoreUnavailableError("redis")
        return True

    def _walk_of(self, rankings: Rankings, viewer_id: int, cursor: Cursor) -> Walk:
        """Return the walk a cursor is of, in the ranking it stands in."""
        ranking = next(ranking for ranking in rankings if ranking.surface is cursor.surface)
        walk = Walk(
            self,
            rankings,
            ranking,
            viewer_id,
            cursor.variant,
            lowest=cursor.lowest,
            has_crossed=cursor.has_crossed,
        )
        if cursor.is_stale:
            walk.fall_to("stale")
        return walk

    # ---------- what the viewer's writes ask for

    async def _need(
        self, owner: Owner, variant: str, reply: Reply | None, *, can_wait: bool
    ) -> Need:
        """
        Return what a ranking of now has to include.

        Waits, bounded, for the viewer's last write to land, unless a page was found that includes
        it. What has landed since a page was found, and is not in it, makes `is_met` false.
        """
        if reply is None:
            return Need()
        mark, wanted = reply.touched
        if owner.surface.has_writes_at_once:
            wanted = 0
        if reply.page is None:
            return Need(mark, wanted if await self._has_landed(wanted, can_wait) else 0)
        if reply.ranked_position < wanted and await self._has_landed(wanted, can_wait):
            return Need(mark, wanted)
        if owner.surface.is_refreshed and (
            reply.refreshed_position < wanted <= self._landed.refreshed
        ):
            return Need(mark, wanted)
        return Need(mark, *await self._posts_needed(owner, variant, reply, reply.page))

    async def _has_landed(self, position: int, can_wait: bool) -> bool:
        if can_wait:
            return await self._landed.has(position)
        return position <= self._landed.position

    async def _posts_needed(
        self, owner: Owner, variant: str, reply: Reply, page: Slice
    ) -> tuple[int, bool]:
        """Return up to which post of large authors the viewer follows, and whether that is met."""
        if owner.surface.item_type != "post":
            return 0, True
        if owner.surface.has_writes_at_once:
            posts = self._large_posts.after(reply.checked)
        else:
            posts = self._large_posts.missing(reply.refreshed_position, reply.checked)
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

    async def _fresh(self, walk: Walk, need: Need, *, shall_rank: bool) -> tuple[Snapshot, bool]:
        """
        Return a snapshot of now and whether Redis holds it; one ranking however many ask.

        Who needs more than another does not share its ranking, which may have begun too early.
        Where another ranking can stand in, nobody waits for longer than one may take.
        """
        ranking, owner, variant = walk.ranking, walk.owner, walk.variant
        if ranking.circuit.is_refusing:
            raise StoreUnavailableError(ranking.surface.slug)
        seconds = None
        if walk.can_be_stood_in_for:
            seconds = self._rank_seconds if ranking.circuit.is_closed else PROBE_SECONDS
        try:
            async with asyncio.timeout(seconds):
                return await self._flights.join(
                    ("fresh", owner, variant, need),
                    lambda: self._rank_or_wait(ranking, owner, variant, need, shall_rank),
                )
        except TimeoutError as exc:
            raise StoreUnavailableError(ranking.surface.slug) from exc

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
        ranked_position, refreshed_position = self._landed.position, self._landed.refreshed
        checked = self._large_posts.latest if owner.surface.has_writes_at_once else ""
        try:
            as_of_ms, items = await self.rank(ranking, owner, None, variant, [])
        except StoreUnavailableError:
            await self._optional(lambda: self._store.unlock(owner, variant, mark))
            raise
        snapshot = Snapshot(owner.surface, SnapshotKey.fresh(), as_of_ms, items)
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
            refreshed_position=refreshed_position,
            checked=checked,
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
                oldest_ms=self._oldest_ms(owner),
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
        as_of_ms: int | None,
        variant: str,
        shown: list[int],
    ) -> Ranked:
        """Read one ranking; of now when no clock is given."""
        ranked = await ranking.ranked(owner.viewer_id, as_of_ms, variant, shown)
        RANKING_ROWS.labels(owner.surface.slug).observe(len(ranked.items))
        return ranked

    async def following(
        self, rankings: Rankings, viewer_id: int, cursor: Cursor
    ) -> Standing | None:
        """
        Return the ranking that follows the one a cursor is at the end of; None when none does.

        It is the same for every retry, because it is kept under the number that follows.
        """
        return await self._flights.join(
            ("following", viewer_id, cursor.session, cursor.generation),
            lambda: self._follow(rankings, viewer_id, cursor),
        )

    async def _follow(self, rankings: Rankings, viewer_id: int, cursor: Cursor) -> Standing | None:
        walk = self._walk_of(rankings, viewer_id, cursor)
        key = SnapshotKey(cursor.session, cursor.generation)
        is_redis_up = True
        shown: list[int] | None = None
        try:
            kept = await self._store.load(walk.owner, key.next())
            if kept is not None:
                return Standing(kept, 0, "none")
            shown = await self._store.shown(walk.owner, key)
        except StoreUnavailableError:
            is_redis_up = False
        shown_before: list[int] | None = None
        if shown is None:
            self._require_way_back(cursor, is_redis_up=is_redis_up)
            retraced = await self._retrace(walk, cursor)
            if retraced is None:
                return await self._below_lowest(walk, cursor, is_redis_up)
            shown = shown_before = [*retraced.shown_before, *retraced.snapshot.ids]
        if len(shown) >= self._session_max:
            return None
        # Without Redis the clock stands still and the ranking is the same, so that the walk can be
        # retraced.
        clock_ms = None if is_redis_up else cursor.as_of_ms
        ranking, (as_of_ms, items) = await self._first_to_rank(
            rankings if is_redis_up else [walk.ranking], viewer_id, clock_ms, cursor.variant, shown
        )
        if not items:
            return None
        items = items[: self._session_max - len(shown)]
        snapshot = Snapshot(ranking.surface, key.next(), as_of_ms, items, cursor.fingerprint)
        is_kept = is_redis_up and await self.keep(
            Owner(ranking.surface, viewer_id),
            snapshot,
            variant=cursor.variant,
            shown_before=shown_before,
        )
        return Standing(snapshot, 0, "none" if is_kept else "no_cache")

    async def _first_to_rank(
        self,
        rankings: Rankings,
        viewer_id: int,
        as_of_ms: int | None,
        variant: str,
        shown: list[int],
    ) -> tuple[Ranking, Ranked]:
        """
        Return what the first of some rankings that can be read says, and which one it was.

        Whether a store is well again is for first pages to find out, which do not wait for it.
        """
        *others, last = rankings
        for ranking in others:
            if ranking.circuit.is_closed:
                with contextlib.suppress(StoreUnavailableError):
                    owner = Owner(ranking.surface, viewer_id)
                    return ranking, await self.rank(ranking, owner, as_of_ms, variant, shown)
        owner = Owner(last.surface, viewer_id)
        return last, await self.rank(last, owner, as_of_ms, variant, shown)

    # ---------- the way back, when Redis lost the snapshot

    async def way_back(self, walk: Walk, cursor: Cursor, *, is_redis_up: bool) -> Standing:
        """
        Rank again at the cursor's clock and find the place to go on from.

        Where the rankings up to the cursor are still what the viewer saw, go on at the same place:
        nothing is repeated or skipped. Where they moved, go on strictly below the lowest key the
        walk has shown: nothing is repeated that is not below it by now. Nothing stands in: what the
        walk was shown is lost, and only its own ranking can tell. One that has crossed over has had
        another; it ends, with `BadCursorError`.
        """
        self._require_way_back(cursor, is_redis_up=is_redis_up)
        return await self._flights.join(
            ("way back", walk.owner, cursor),
            lambda: self._find_way_back(walk, cursor, is_redis_up),
        )

    def _require_way_back(self, cursor: Cursor, *, is_redis_up: bool) -> None:
        """End a walk that might repeat what it showed in another ranking."""
        if not cursor.has_crossed:
            return
        if not is_redis_up:  # which may have it still
            raise StoreUnavailableError("redis")
        raise bad_cursor("expired", "cursor")

    async def _find_way_back(self, walk: Walk, cursor: Cursor, is_redis_up: bool) -> Standing:
        retraced = await self._retrace(walk, cursor)
        if retraced is None:
            return await self._below_lowest(walk, cursor, is_redis_up)
        is_kept = is_redis_up and await self.keep(
            walk.owner,
            retraced.snapshot,
            variant=cursor.variant,
            shown_before=retraced.shown_before,
        )
        return Standing(retraced.snapshot, cursor.position, "none" if is_kept else "no_cache")

    async def _retrace(self, walk: Walk, cursor: Cursor) -> Retraced | None:
        """Make the rankings of a walk again; None when they are not what the viewer saw."""
        if cursor.generation >= RETRACED_RANKINGS:
            return None
        deadline = asyncio.get_running_loop().time() + self._rank_seconds
        surface = walk.owner.surface
        shown: list[int] = []
        snapshot = Snapshot(surface, SnapshotKey(cursor.session, 0), cursor.as_of_ms, [])
        for generation in range(cursor.generation + 1):
            self._check(deadline)
            shown += snapshot.ids
            walked = snapshot.fingerprint(len(snapshot.items))
            _, items = await self.rank(
                walk.ranking, walk.owner, cursor.as_of_ms, cursor.variant, shown
            )
            key = SnapshotKey(cursor.session, generation)
            snapshot = Snapshot(surface, key, cursor.as_of_ms, items, walked)
        is_same = (
            cursor.position <= len(snapshot.items)
            and snapshot.fingerprint(cursor.position) == cursor.fingerprint
        )
        return Retraced(snapshot, shown) if is_same else None

    async def _below_lowest(self, walk: Walk, cursor: Cursor, is_redis_up: bool) -> Standing:
        """
        Rank at the cursor's clock until something is strictly below the lowest key shown.

        Everything at or above that key counts as shown, and nothing below it: what fell below since
        it was shown may come again. It becomes the list of a new walk, since the old one's is lost.
        """
        deadline = asyncio.get_running_loop().time() + self._rank_seconds
        shown: list[int] = []
        below: list[RankedItem] = []
        while not below and len(shown) < self._session_max:
            self._check(deadline)
            _, items = await self.rank(
                walk.ranking, walk.owner, cursor.as_of_ms, cursor.variant, shown
            )
            if not items:
                break
            below = [item for item in items if item.key < cursor.lowest]
            shown += [item.item_id for item in items if item.key >= cursor.lowest]
        key = SnapshotKey.fresh().next()
        snapshot = Snapshot(walk.owner.surface, key, cursor.as_of_ms, below)
        is_kept = bool(
            is_redis_up
            and below
            and await self.keep(walk.owner, snapshot, variant=cursor.variant, shown_before=shown)
        )
        is_fine = is_kept or (is_redis_up and not below)
        return Standing(snapshot, 0, "none" if is_fine else "no_cache")

    def _check(self, deadline: float) -> None:
        """Give up when several rankings together take longer than one may."""
        if asyncio.get_running_loop().time() > deadline:
            raise StoreUnavailableError("clickhouse")

    async def _known(self, walk: Walk, cursor: Cursor) -> set[int]:
        """Return every id of the rankings a walk has been in, or at least of its last clock."""
        key = SnapshotKey(cursor.session, cursor.generation)
        shown = await self._optional(lambda: self._store.shown(walk.owner, key))
        if shown is None:
            _, then = await self.rank(walk.ranking, walk.owner, cursor.as_of_ms, cursor.variant, [])
            shown = [item.item_id for item in then]
        return set(shown)

    # ---------- when nothing can be ranked

    async def _stale_page(
        self,
        rankings: Rankings,
        viewer_id: int,
        variant: str,
        limit: int,
        verdict: Verdict | None,
    ) -> Page:
        """Return a first page from the last good snapshot, or say that nothing can be served."""
        found: list[tuple[Slice, Walk]] = []
        for ranking in rankings:
            walk = Walk(self, rankings, ranking, viewer_id, variant, verdict=verdict)
            read = partial(self._store.read_last_good, walk.owner, variant, limit)
            reply = await self._optional(read)
            if reply is not None and reply.page is not None:
                found.append((reply.page, walk))
        if not found:
            raise unavailable()
        piece, walk = max(found, key=lambda one: one[0].as_of_ms)
        walk.is_hit = True
        walk.fall_to("stale")
        return await walk.page(piece, limit)

    # ---------- Redis may be away

    async def _read_head(
        self, owner: Owner, variant: str, limit: int, *, wants_lock: bool, is_charged: bool
    ) -> Reply | None:
        reply = await self._optional(
            lambda: self._store.read_head(
                owner,
                variant,
                limit,
                oldest_ms=self._oldest_ms(owner),
                release_ms=self._releases.released_ms,
                is_charged=is_charged,
                wants_lock=wants_lock,
            )
        )
        if reply is not None:
            self._refuse_over_limit(reply)
        return reply

    def _oldest_ms(self, owner: Owner) -> int:
        """Return since when a snapshot has to be from to be a first page."""
        return now_ms() - self._fresh_seconds[owner.surface.item_type] * 1000

    async def cut(self, walk: Walk, snapshot: Snapshot, position: int, limit: int) -> Slice:
        """Return a page's worth of a snapshot, without what must not be on it by now."""
        ids = snapshot.ids[position:]
        return snapshot.slice(position, limit, await self._excluded_of(walk, ids))

    async def _excluded_of(self, walk: Walk, item_ids: Sequence[int]) -> Exclusions:
        """Return what is to be left out of some items; nothing while Redis is away."""
        if walk.excluded is None:
            walk.excluded = await self.excluded(walk.owner)
        if walk.owner.surface.item_type != "post" or walk.excluded is NOTHING:  # Redis is away
            return walk.excluded
        owner = walk.owner
        deleted = await self._optional(lambda: self._store.deleted(owner, item_ids))
        return msgspec.structs.replace(walk.excluded, deleted=deleted or frozenset())

    async def excluded(self, owner: Owner) -> Exclusions:
        """Return what the viewer wants on no page; nothing while Redis is away."""
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
    """
    One request's step of a walk: fills a page, into the next rankings where one ends.

    It is in one of its rankings at a time; `surface` and `degraded` tell of all it has been in.
    """

    def __init__(
        self,
        walks: Walks,
        rankings: Rankings,
        ranking: Ranking,
        viewer_id: int,
        variant: str,
        *,
        verdict: Verdict | None = None,
        lowest: Key = HIGHEST_KEY,
        has_crossed: bool = False,
    ) -> None:
        self.ranking = ranking
        self.owner = Owner(ranking.surface, viewer_id)
        self.variant = variant
        self.surface = ranking.surface
        self.verdict = verdict
        self.is_hit = False
        self.degraded: Degraded = "none"
        self.excluded: Exclusions | None = None
        self._walks = walks
        self._rankings = rankings
        self._lowest = lowest
        self._has_crossed = has_crossed
        # The snapshot that is older than what was asked for; the rankings after it are not.
        self._stale_key: SnapshotKey | None = None
        if self.stands_in:
            self.fall_to("timeline")

    @property
    def stands_in(self) -> bool:
        """Say whether the walk is in another ranking than the one asked for."""
        return self.ranking is not self._rankings[0]

    @property
    def can_be_stood_in_for(self) -> bool:
        """Say whether there is another ranking to go on in."""
        return self.ranking is not self._rankings[-1]

    def fall_to(self, level: Degraded) -> None:
        """Note that something was missing; what is worse stays."""
        self.degraded = max(self.degraded, level, key=LEVELS.index)

    async def page(self, piece: Slice, limit: int) -> Page:
        """
        Return a page that begins with a slice.

        At the end of a ranking the next one is looked for at once: it fills the page, and whether
        there is one is what `has_more` says. When it cannot be read now, it can be later.
        """
        total, as_of_ms = piece.total, piece.as_of_ms
        bodies = list(piece.bodies)
        if self.degraded == "stale":
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
                standing = await self._walks.following(self._rankings, self.owner.viewer_id, at)
            except StoreUnavailableError as exc:
                if not bodies:
                    raise unavailable() from exc
                break
            except BadCursorError:
                if not bodies:
                    raise
                break  # the next request is told
            if standing is None or not standing.snapshot.items:
                has_more = False
                break
            self._enter(standing)
            piece = await self._walks.cut(self, standing.snapshot, 0, limit - len(bodies))
            bodies += piece.bodies
            at = self._cursor(piece)
        FEED_PAGES.labels(self.surface.slug, self.degraded, str(self.is_hit).lower()).inc()
        return Page(
            surface=self.surface,
            bodies=bodies,
            has_more=has_more,
            next_cursor=self._walks.cursor_text(at, self.owner) if has_more else None,
            variant=self.variant,
            as_of_ms=as_of_ms,
            total=total,
            cache_hit=self.is_hit,
            degraded=self.degraded,
            verdict=self.verdict,
        )

    def _enter(self, standing: Standing) -> None:
        """Go on in the ranking that follows, which may be another one."""
        surface = standing.snapshot.surface
        if surface is not self.owner.surface:
            self._has_crossed = True
            self.ranking = next(one for one in self._rankings if one.surface is surface)
            self.owner = Owner(surface, self.owner.viewer_id)
            # Heights of two rankings cannot be compared.
            self._lowest = HIGHEST_KEY
        if self.stands_in:
            self.surface = surface
            self.fall_to("timeline")
        self.fall_to(standing.degraded)

    def _cursor(self, piece: Slice) -> Cursor:
        self._lowest = min(self._lowest, piece.lowest)
        return Cursor(
            surface=self.owner.surface,
            session=piece.key.session,
            generation=piece.key.generation,
            position=piece.next_position,
            as_of_ms=piece.as_of_ms,
            variant=self.variant,
            fingerprint=piece.fingerprint,
            lowest_height=self._lowest[0],
            lowest_id=self._lowest[1],
            is_stale=piece.key == self._stale_key,
            is_stand_in=self.stands_in,
            has_crossed=self._has_crossed,
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
