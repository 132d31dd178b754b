"""
Lists of users for a viewer: ranked in ClickHouse, kept in Redis, cut and named by Postgres.

What is kept is the order and its reasons. Who is followed, blocked or gone by now leaves as the
list is served: Postgres says, for every answer, in the same query that gives names and counts.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar, cast

import msgspec
from msgspec import Struct

from api.discovery.queries import DiscoveryQueries
from api.discovery.ranked import Card, Place, Ranked
from api.discovery.schemas import Degraded
from api.metrics import DISCOVERY_LISTS, DISCOVERY_REFRESHES
from api.settings import Settings
from api.snapshots.landed import LandedWatch
from api.snapshots.releases import ReleaseWatch
from api.snapshots.store import now_ms
from api.snapshots.touches import FOLLOWS, position_field, touched_key
from api.snapshots.walk import Flights, unavailable
from api.stores import RedisStore, StoreUnavailableError

REFRESHES_AT_ONCE = 4  # lists ranked anew ahead of time, of a process (count)
GROWING_FRESH_SECONDS = 60.0

T = TypeVar("T")


class Kind(Struct, frozen=True):
    """
    A kind of list; `name` is also that of its statement.

    Served as it is until four fifths of `fresh_seconds`; from then on it is ranked anew behind the
    answer, and after `fresh_seconds` before it. When it cannot be ranked it serves for as long
    again, and after that as stale.
    """

    name: str
    chart: str
    fresh_seconds: int
    previews: int = 0  # videos of each user (count)
    is_found_by_followees: bool = False

    @property
    def ahead_ms(self) -> int:
        """Return the age at which it is ranked anew behind the answer."""
        return self.fresh_seconds * 800

    @property
    def fresh_ms(self) -> int:
        """Return the age from which it is ranked anew before it is served."""
        return self.fresh_seconds * 1000

    @property
    def kept_ms(self) -> int:
        """Return the age from which it is stale."""
        return self.fresh_seconds * 2000

    def key(self, viewer_id: int) -> str:
        """Return the key of a viewer's list; the braces keep a viewer in one slot of a cluster."""
        return f"discover:{self.name}:v1:{{{viewer_id}}}"

    @property
    def growing_key(self) -> str:
        """Return the key of the list for whom no other is known."""
        return f"discover:{self.name}:v1:growing"


class Found(NamedTuple):
    """What Redis has of a viewer: the list, and the last write it must not be older than."""

    ranked: Ranked | None
    mark: str
    position: int


class Listed(NamedTuple):
    """A place, and what is shown of whom it is."""

    place: Place
    card: Card
    related: list[Card]


class Answer(NamedTuple):
    """A list to be served, and how it came about."""

    users: list[Listed]
    as_of_ms: int
    is_hit: bool
    degraded: Degraded
    cut: int = 0  # places of the list whose users must not be named by now (count)

    @property
    def is_fallback(self) -> bool:
        """Say whether something older or simpler than what was asked for is served."""
        return self.degraded in ("stale", "popular")


class ListReader:
    """One kind of list, of all viewers, of one process."""

    def __init__(
        self,
        kind: Kind,
        queries: DiscoveryQueries,
        redis: RedisStore,
        landed: LandedWatch,
        releases: ReleaseWatch,
        settings: Settings,
    ) -> None:
        self._kind = kind
        self._queries = queries
        self._redis = redis
        self._landed = landed
        self._releases = releases
        self._stale_seconds = settings.stale_ttl_seconds
        self._flights = Flights()
        self._refreshes: set[asyncio.Task[None]] = set()
        self._growing: list[Place] = []
        self._growing_until = 0.0

    async def of(self, viewer_id: int, limit: int) -> Answer:
        """Return the viewer's list; raises a problem when there is nothing to serve."""
        answer = await self._answer(viewer_id)
        DISCOVERY_LISTS.labels(self._kind.name, answer.degraded, str(answer.is_hit).lower()).inc()
        users = answer.users[:limit]
        if answer.cut and len(users) < limit:
            users += await self._fill(viewer_id, users, limit - len(users))
        return answer._replace(users=users)

    async def close(self) -> None:
        """Let rankings under way finish; each is bounded by its timeouts."""
        await asyncio.gather(*self._refreshes, return_exceptions=True)
        await self._flights.land()

    # ---------- which list

    async def _answer(self, viewer_id: int) -> Answer:
        told = await self._found(viewer_id)
        found = told or Found(None, "", 0)
        known = found.ranked
        has_landed = known is not None and known.position >= found.position
        if not has_landed:
            has_landed = await self._landed.has(found.position)
        is_current = known is not None and self._is_current(known, found, has_landed=has_landed)
        age_ms = now_ms() - known.as_of_ms if known else 0
        if known and is_current and age_ms < self._kind.fresh_ms:
            if age_ms >= self._kind.ahead_ms:
                self._refresh(viewer_id, found)
            return await self._served(viewer_id, known, "none", is_hit=True, is_current=True)
        try:
            ranked, is_kept = await self._rank(viewer_id, found, has_landed=has_landed)
        except StoreUnavailableError as exc:
            if known is None:
                return await self._grown(viewer_id, exc)
            is_young = is_current and age_ms < self._kind.kept_ms
            return await self._served(
                viewer_id,
                known,
                "none" if is_young else "stale",
                is_hit=True,
                is_current=is_current,
            )
        return await self._served(
            viewer_id,
            ranked,
            "none" if told and is_kept else "no_cache",
            is_hit=False,
            is_current=True,
            # Without marks it may have been begun for somebody who came before the last follow.
            has_cards_of_now=told is not None,
        )

    def _is_current(self, known: Ranked, found: Found, *, has_landed: bool) -> bool:
        """
        Say whether a list includes the viewer's last write, as far as that can be had.

        Ranked after the write, before it had landed, it is served until the write has landed.
        """
        if known.mark != found.mark or known.release_ms < self._releases.released_ms:
            return False
        return known.position >= found.position or not has_landed

    async def _grown(self, viewer_id: int, cause: StoreUnavailableError) -> Answer:
        """Return who grows fastest, for a viewer whose list cannot be known."""
        places = await self._known_growing()
        if not places:
            raise unavailable() from cause
        cards = await self._cards(viewer_id, places)
        if cards is None:
            raise unavailable() from cause
        return Answer(self._listed(viewer_id, places, cards), now_ms(), True, "popular")

    async def _fill(self, viewer_id: int, listed: Sequence[Listed], most: int) -> list[Listed]:
        """
        Return who grows fastest and is not listed, as far as that can be had.

        ClickHouse knows a part of whom somebody follows who follows very many, and Postgres may
        cut the whole list it made.
        """
        named = {one.place.user_id for one in listed}
        places = [one for one in await self._known_growing() if one.user_id not in named]
        cards = await self._cards(viewer_id, places) if places else None
        return self._listed(viewer_id, places, cards)[:most] if cards else []

    # ---------- serving

    async def _served(
        self,
        viewer_id: int,
        ranked: Ranked,
        degraded: Degraded,
        *,
        is_hit: bool,
        is_current: bool,
        has_cards_of_now: bool = False,
    ) -> Answer:
        """
        Return a list without whom it must not name by now.

        While Postgres is away the cards it was kept with serve, if the viewer has followed and
        blocked nobody since.
        """
        cards = ranked.cards if has_cards_of_now else await self._cards(viewer_id, ranked.places)
        if cards is None:
            cards, degraded = ranked.cards, "stale"
            if cards is None or not is_current:
                raise unavailable()
        users = self._listed(viewer_id, ranked.places, cards)
        cut = len(ranked.places) - len(users)
        return Answer(users, ranked.as_of_ms, is_hit, degraded, cut)

    async def _cards(self, viewer_id: int, places: Sequence[Place]) -> dict[int, Card] | None:
        try:
            return await self._queries.cards(viewer_id, places, self._kind.previews)
        except StoreUnavailableError:
            return None

    def _listed(
        self, viewer_id: int, places: Sequence[Place], cards: dict[int, Card]
    ) -> list[Listed]:
        listed = []
        for place in places:
            card = cards.get(place.user_id)
            if card is None or card.user_id == viewer_id or card.is_followed or card.is_blocked:
                continue
            if self._kind.previews and not card.videos:
                continue
            related = [cards[user_id] for user_id in place.related_ids if user_id in cards]
            listed.append(Listed(place, card, [one for one in related if self._may_be_named(one)]))
        return listed

    def _may_be_named(self, related: Card) -> bool:
        if self._kind.is_found_by_followees and not related.is_followed:
            return False
        return not related.is_blocked

    # ---------- ranking

    async def _rank(self, viewer_id: int, found: Found, *, has_landed: bool) -> tuple[Ranked, bool]:
        """
        Return a list of now, and whether Redis holds it; one ranking however many ask.

        Who needs a later write than another does not share its ranking.
        """
        key = (viewer_id, found.mark, found.position if has_landed else 0)
        return await self._flights.join(key, lambda: self._rank_once(viewer_id, found.mark))

    async def _rank_once(self, viewer_id: int, mark: str) -> tuple[Ranked, bool]:
        position, release_ms, as_of_ms = (
            self._landed.position,
            self._releases.released_ms,
            now_ms(),
        )
        places = await self._queries.ranked(self._kind.name, viewer_id, as_of_ms)
        cards = await self._cards(viewer_id, places)
        ranked = Ranked(as_of_ms, mark, position, release_ms, places, cards)
        # An empty list would hide the first users of a new system.
        is_kept = not places or await self._keep(self._kind.key(viewer_id), ranked)
        await self._note_growing()
        return ranked, is_kept

    def _refresh(self, viewer_id: int, found: Found) -> None:
        """Rank a list anew that nobody waits for, unless many are being ranked."""
        if len(self._refreshes) >= REFRESHES_AT_ONCE:
            DISCOVERY_REFRESHES.labels("skipped").inc()
            return
        task = asyncio.create_task(self._refreshed(viewer_id, found))
        self._refreshes.add(task)
        task.add_done_callback(self._refreshes.discard)

    async def _refreshed(self, viewer_id: int, found: Found) -> None:
        try:
            await self._rank(viewer_id, found, has_landed=True)
        except StoreUnavailableError:
            DISCOVERY_REFRESHES.labels("failed").inc()
        else:
            DISCOVERY_REFRESHES.labels("done").inc()

    # ---------- Redis

    async def _found(self, viewer_id: int) -> Found | None:
        """Return what Redis has of a viewer; None while it is away."""

        async def read() -> list[Any]:
            pipeline = self._redis.client.pipeline(transaction=False)
            pipeline.get(self._kind.key(viewer_id))
            pipeline.hmget(touched_key(viewer_id), [FOLLOWS, position_field(FOLLOWS)])
            return await pipeline.execute()

        try:
            packed, (mark, position) = await self._redis.run(read)
        except StoreUnavailableError:
            return None
        return Found(decoded(packed, Ranked), (mark or b"").decode(), int(position or 0))

    async def _keep(self, key: str, value: Any) -> bool:
        packed = msgspec.msgpack.encode(value)
        try:
            await self._redis.run(
                lambda: self._redis.client.set(key, packed, ex=self._stale_seconds)
            )
        except StoreUnavailableError:
            return False
        return True

    # ---------- who grows

    async def _note_growing(self) -> None:
        """Keep who grows fastest, once a minute: ClickHouse cannot be asked when it is away."""
        if time.monotonic() < self._growing_until:
            return
        self._growing_until = time.monotonic() + GROWING_FRESH_SECONDS
        try:
            self._growing = await self._queries.growing(self._kind.chart)
        except StoreUnavailableError:
            return
        await self._keep(self._kind.growing_key, self._growing)

    async def _known_growing(self) -> list[Place]:
        return self._growing or await self._optional_growing()

    async def _optional_growing(self) -> list[Place]:
        try:
            packed = await self._redis.run(lambda: self._redis.client.get(self._kind.growing_key))
        except StoreUnavailableError:
            return []
        return decoded(cast("bytes | None", packed), list[Place]) or []


def decoded(packed: bytes | None, kind: type[T]) -> T | None:
    """Return what Redis keeps; None when that is nothing, or of a release that wrote otherwise."""
    try:
        return msgspec.msgpack.decode(packed, type=kind) if packed else None
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
