"""
Charts as a process serves them: its own copy of some seconds, Redis, ClickHouse, the last good.

The worker (api/workers/charts.py) keeps those in Redis fresh, so that nobody waits for ClickHouse.
"""

from __future__ import annotations

import contextlib
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar, Literal, NamedTuple, cast

import msgspec
from msgspec import Struct

from api.counters.overlay import Overlay
from api.metrics import FEED_PAGES
from api.optional import OptionalReads
from api.settings import Settings
from api.snapshots.walk import Flights, unavailable
from api.stores import RedisStore, StoreUnavailableError
from api.surfaces.schemas import Window

# From when on a chart is stale although ClickHouse tells it: three times the longest interval at
# which charts of windows are counted (dbt_project.yml).
COUNTED_SECONDS = 180.0
FRESH_SECONDS = 60.0  # of a chart in Redis; when it is older, nobody reads it ahead
COPY_SECONDS = 2.0  # how long a process serves its own copy
RETRY_SECONDS = 1.0  # how long a stale chart is served before ClickHouse is asked again


class Chart(Struct, frozen=True):
    """
    A chart as it was read from ClickHouse, which had counted it `as_of_ms`.

    `item_ids` are those of what may be deleted: the items, or what they show. `parts` are the keys
    of the charts that this one is the whole of.
    """

    read_at_ms: int
    as_of_ms: int
    item_ids: list[int]
    bodies: list[bytes]
    parts: list[str] = []

    @property
    def age_seconds(self) -> float:
        """Time since it was read."""
        return time.time() - self.read_at_ms / 1000

    @property
    def counted_before_ms(self) -> int:
        """How long before it was read ClickHouse had counted it."""
        return self.read_at_ms - self.as_of_ms

    def without(self, ids: frozenset[int]) -> Chart:
        """Return the chart less some items."""
        kept = [
            (item_id, body)
            for item_id, body in zip(self.item_ids, self.bodies, strict=True)
            if item_id not in ids
        ]
        return msgspec.structs.replace(
            self, item_ids=[item_id for item_id, _ in kept], bodies=[body for _, body in kept]
        )


class Counted(NamedTuple):
    """A chart as ClickHouse has it, top first; see `Chart`."""

    counted_at: datetime | None  # of an empty chart it is not known
    item_ids: list[int]
    bodies: list[bytes]
    parts: Sequence[str] = ()


class ChartSource(ABC):
    """What the charts of one surface are made of: each is known by a key, say its window."""

    name: ClassVar[str]  # what its charts are called in Redis and in metrics
    keys: ClassVar[Sequence[str]] = tuple(Window)  # those that are always read ahead
    # The key of the chart that all others are parts of: what it does not name is an empty chart,
    # so that any key may be asked for, and none costs anything but those there are.
    whole: ClassVar[str | None] = None
    fresh_seconds: ClassVar[float] = FRESH_SECONDS
    counted_seconds: ClassVar[float] = COUNTED_SECONDS

    @abstractmethod
    async def chart(self, key: str) -> Counted:
        """Return a chart from ClickHouse; raises `StoreUnavailableError`."""

    async def deleted(self, ids: Sequence[int]) -> frozenset[int]:
        """Return those that Postgres knows to be deleted; raises `StoreUnavailableError`."""
        return frozenset()

    def standing(self, chart: Chart, deleted: frozenset[int]) -> Chart:
        """Return a chart as it is served, without what was deleted."""
        return chart.without(deleted) if deleted else chart


class ChartPage(NamedTuple):
    """The top of a chart with counters of now, and how it came about."""

    bodies: list[bytes]
    as_of_ms: int
    total: int
    is_hit: bool
    degraded: Literal["none", "stale"]


class Reading(NamedTuple):
    """A chart, and where it was found."""

    chart: Chart
    is_hit: bool
    degraded: Literal["none", "stale"]


class Charts:
    """
    The charts of one surface.

    The order and the points are as of the counting, the counters of now. What was deleted since is
    left out, also while ClickHouse is away.
    """

    def __init__(
        self, source: ChartSource, overlay: Overlay | None, redis: RedisStore, settings: Settings
    ) -> None:
        self._source = source
        self._overlay = overlay
        self._redis = redis
        self._kept_seconds = settings.stale_ttl_seconds
        self._newest: dict[str, Chart] = {}
        # What this process serves, and until when (time.monotonic()).
        self._copies: dict[str, tuple[float, Reading]] = {}
        # What of it is told without reading it anew, likewise.
        self._ids: dict[str, tuple[float, list[int]]] = {}
        self._flights = Flights()
        self._deletions = OptionalReads[frozenset[int]](
            f"{source.name}-charts", 1, settings.counters_timeout_ms / 1000
        )

    async def top(self, key: str, limit: int) -> ChartPage:
        """Return the top of a chart; raises `UnavailableError` when none can be found anywhere."""
        whole = self._source.whole
        reading = await self._reading(key if whole is None else whole)
        if whole is not None and key != whole:
            if key in reading.chart.parts:
                reading = await self._reading(key)
            else:
                nothing = msgspec.structs.replace(reading.chart, item_ids=[], bodies=[])
                reading = reading._replace(chart=nothing)
        FEED_PAGES.labels(
            f"{self._source.name}-chart", reading.degraded, str(reading.is_hit).lower()
        ).inc()
        bodies = reading.chart.bodies[:limit]
        return ChartPage(
            bodies if self._overlay is None else await self._overlay.live(bodies),
            reading.chart.as_of_ms,
            len(reading.chart.bodies),
            reading.is_hit,
            reading.degraded,
        )

    async def _reading(self, key: str) -> Reading:
        """Return a chart as this process serves it."""
        copy = self._copies.get(key)
        if copy is not None and time.monotonic() < copy[0]:
            return copy[1]._replace(is_hit=True)
        return await self._flights.join(key, lambda: self._read(key))

    async def item_ids(self, key: str) -> list[int]:
        """
        Return the items of a chart, top first, from this process or Redis; empty when unknown.

        Never raises, and never waits for ClickHouse: it is for when that is away.
        """
        until, ids = self._ids.get(key, (0.0, []))
        if time.monotonic() < until:
            return ids
        chart = await self._kept(key)
        if chart is None:
            return []
        self._ids[key] = time.monotonic() + COPY_SECONDS, chart.item_ids
        return chart.item_ids

    async def refresh(self, key: str) -> Chart:
        """Read a chart and keep it in Redis; raises `StoreUnavailableError` of ClickHouse."""
        read_at_ms = time.time_ns() // 1_000_000
        counted = await self._source.chart(key)
        chart = Chart(
            read_at_ms,
            round(counted.counted_at.timestamp() * 1000) if counted.counted_at else read_at_ms,
            counted.item_ids,
            counted.bodies,
            list(counted.parts),
        )
        self._newest[key] = chart
        packed = msgspec.msgpack.encode(chart)
        # Without Redis this process has it, and the others read it themselves.
        with contextlib.suppress(StoreUnavailableError):
            await self._redis.run(
                lambda: self._redis.client.set(self._key(key), packed, ex=self._kept_seconds)
            )
        return chart

    async def refresh_all(self) -> int:
        """
        Read every chart that is due; returns how many could not be read.

        Parts are due when their whole was counted anew, and before they are too old to be fresh.
        """
        failed = 0
        for key in self._source.keys:
            try:
                whole = await self.refresh(key)
            except StoreUnavailableError:
                failed += 1
                continue
            for part in whole.parts:
                kept = self._newest.get(part)
                if (
                    kept is None
                    or kept.as_of_ms != whole.as_of_ms
                    or kept.age_seconds > self._source.fresh_seconds / 2
                ):
                    try:
                        await self.refresh(part)
                    except StoreUnavailableError:
                        failed += 1
        return failed

    async def close(self) -> None:
        """Let reads under way finish; each is bounded by its timeout."""
        await self._flights.land()
        await self._deletions.close()

    async def _read(self, key: str) -> Reading:
        """Return the best chart there is, and serve it for a while."""
        found = await self._found(key)
        if found.chart.counted_before_ms > self._source.counted_seconds * 1000:
            found = found._replace(degraded="stale")
        reading = found._replace(chart=await self._standing(found.chart))
        if key == self._source.whole:
            self._forget(found.chart)
        seconds = RETRY_SECONDS if reading.degraded == "stale" else COPY_SECONDS
        self._copies[key] = time.monotonic() + seconds, reading
        return reading

    async def _found(self, key: str) -> Reading:
        kept = await self._kept(key)
        if kept is not None and kept.age_seconds < self._source.fresh_seconds:
            return Reading(kept, is_hit=True, degraded="none")
        try:
            return Reading(await self.refresh(key), is_hit=False, degraded="none")
        except StoreUnavailableError as exc:
            if kept is None:
                raise unavailable() from exc
            return Reading(kept, is_hit=True, degraded="stale")

    async def _kept(self, key: str) -> Chart | None:
        """Return the newest chart of this process or Redis that is not too old for any use."""
        charts = [
            chart
            for chart in (self._newest.get(key), await self._in_redis(key))
            if chart is not None and chart.age_seconds < self._kept_seconds
        ]
        if not charts:
            return None
        self._newest[key] = newest = max(charts, key=lambda chart: chart.read_at_ms)
        return newest

    async def _in_redis(self, key: str) -> Chart | None:
        try:
            packed = await self._redis.run(lambda: self._redis.client.get(self._key(key)))
        except StoreUnavailableError:
            return None
        try:
            return msgspec.msgpack.decode(cast("bytes", packed), type=Chart) if packed else None
        except msgspec.MsgspecError:
            return None  # of a release that wrote charts another way

    async def _standing(self, chart: Chart) -> Chart:
        """Return a chart without what was deleted since it was read, where that can be known."""
        deleted: frozenset[int] = frozenset()
        if chart.item_ids:
            with contextlib.suppress(StoreUnavailableError):
                deleted = await self._deletions.run(lambda: self._source.deleted(chart.item_ids))
        return self._source.standing(chart, deleted)

    def _forget(self, whole: Chart) -> None:
        """Forget what is a part no more, so that a process keeps as many as there may be."""
        known = {*self._source.keys, *whole.parts}
        for key in self._newest.keys() - known:
            del self._newest[key]
        for key in self._copies.keys() - known:
            del self._copies[key]

    def _key(self, key: str) -> str:
        return f"hot:{self._source.name}:{key}"
