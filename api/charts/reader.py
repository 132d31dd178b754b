"""
Charts as a process serves them: its own copy of some seconds, Redis, ClickHouse, the last good.

The worker (api/workers/charts.py) keeps those in Redis fresh, so that nobody waits for ClickHouse.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Literal, NamedTuple, Protocol, cast

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
# which charts are counted (`trending_refresh_seconds` of dbt_project.yml).
COUNTED_SECONDS = 180.0
FRESH_SECONDS = 60.0  # of a chart in Redis; when it is older, nobody refreshes it ahead
COPY_SECONDS = 2.0  # how long a process serves its own copy
RETRY_SECONDS = 1.0  # how long a stale chart is served before ClickHouse is asked again


class Counted(NamedTuple):
    """A chart as ClickHouse has it, top first: ids, and items as JSON."""

    counted_at: datetime | None  # of an empty chart it is not known
    items: Sequence[tuple[int, bytes]]


class ChartSource(Protocol):
    """What the charts of one surface are made of."""

    @property
    def name(self) -> str:
        """What its charts are called in Redis and in metrics."""
        ...

    async def chart(self, window: Window) -> Counted:
        """Return a chart from ClickHouse; raises `StoreUnavailableError`."""

    async def deleted(self, ids: Sequence[int]) -> frozenset[int]:
        """Return those that Postgres knows to be deleted; raises `StoreUnavailableError`."""


class Chart(Struct, frozen=True):
    """The chart of a window as it was read from ClickHouse, which had counted it `as_of_ms`."""

    read_at_ms: int
    as_of_ms: int
    item_ids: list[int]
    bodies: list[bytes]

    @property
    def age_seconds(self) -> float:
        """Time since it was read."""
        return time.time() - self.read_at_ms / 1000

    @property
    def is_counted(self) -> bool:
        """Say whether ClickHouse had counted it at one of its last turns when it was read."""
        return self.read_at_ms - self.as_of_ms < COUNTED_SECONDS * 1000

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
        self, source: ChartSource, overlay: Overlay, redis: RedisStore, settings: Settings
    ) -> None:
        self._source = source
        self._overlay = overlay
        self._redis = redis
        self._kept_seconds = settings.stale_ttl_seconds
        self._newest: dict[Window, Chart] = {}
        # What this process serves, and until when (time.monotonic()).
        self._copies: dict[Window, tuple[float, Reading]] = {}
        # What of it is told without reading it anew, likewise.
        self._ids: dict[Window, tuple[float, list[int]]] = {}
        self._flights = Flights()
        self._deletions = OptionalReads[frozenset[int]](
            f"{source.name}-charts", 1, settings.counters_timeout_ms / 1000
        )

    async def top(self, window: Window, limit: int) -> ChartPage:
        """Return the top of a chart; raises `UnavailableError` when none can be found anywhere."""
        copy = self._copies.get(window)
        if copy is not None and time.monotonic() < copy[0]:
            reading = copy[1]._replace(is_hit=True)
        else:
            reading = await self._flights.join(window, lambda: self._read(window))
        FEED_PAGES.labels(
            f"{self._source.name}-chart", reading.degraded, str(reading.is_hit).lower()
        ).inc()
        return ChartPage(
            await self._overlay.live(reading.chart.bodies[:limit]),
            reading.chart.as_of_ms,
            len(reading.chart.bodies),
            reading.is_hit,
            reading.degraded,
        )

    async def item_ids(self, window: Window) -> list[int]:
        """
        Return the items of a chart, top first, from this process or Redis; empty when unknown.

        Never raises, and never waits for ClickHouse: it is for when that is away.
        """
        until, ids = self._ids.get(window, (0.0, []))
        if time.monotonic() < until:
            return ids
        chart = await self._kept(window)
        if chart is None:
            return []
        self._ids[window] = time.monotonic() + COPY_SECONDS, chart.item_ids
        return chart.item_ids

    async def refresh(self, window: Window) -> Chart:
        """Read a chart and keep it in Redis; raises `StoreUnavailableError` of ClickHouse."""
        read_at_ms = time.time_ns() // 1_000_000
        counted_at, items = await self._source.chart(window)
        chart = Chart(
            read_at_ms,
            round(counted_at.timestamp() * 1000) if counted_at else read_at_ms,
            [item_id for item_id, _ in items],
            [body for _, body in items],
        )
        self._newest[window] = chart
        packed = msgspec.msgpack.encode(chart)
        # Without Redis this process has it, and the others read it themselves.
        with contextlib.suppress(StoreUnavailableError):
            await self._redis.run(
                lambda: self._redis.client.set(self._key(window), packed, ex=self._kept_seconds)
            )
        return chart

    async def close(self) -> None:
        """Let reads under way finish; each is bounded by its timeout."""
        await self._flights.land()
        await self._deletions.close()

    async def _read(self, window: Window) -> Reading:
        """Return the best chart there is, and serve it for a while."""
        found = await self._found(window)
        if not found.chart.is_counted:
            found = found._replace(degraded="stale")
        reading = found._replace(chart=await self._standing(found.chart))
        seconds = RETRY_SECONDS if reading.degraded == "stale" else COPY_SECONDS
        self._copies[window] = time.monotonic() + seconds, reading
        return reading

    async def _found(self, window: Window) -> Reading:
        kept = await self._kept(window)
        if kept is not None and kept.age_seconds < FRESH_SECONDS:
            return Reading(kept, is_hit=True, degraded="none")
        try:
            return Reading(await self.refresh(window), is_hit=False, degraded="none")
        except StoreUnavailableError as exc:
            if kept is None:
                raise unavailable() from exc
            return Reading(kept, is_hit=True, degraded="stale")

    async def _kept(self, window: Window) -> Chart | None:
        """Return the newest chart of this process or Redis that is not too old for any use."""
        charts = [
            chart
            for chart in (self._newest.get(window), await self._in_redis(window))
            if chart is not None and chart.age_seconds < self._kept_seconds
        ]
        if not charts:
            return None
        self._newest[window] = newest = max(charts, key=lambda chart: chart.read_at_ms)
        return newest

    async def _in_redis(self, window: Window) -> Chart | None:
        try:
            packed = await self._redis.run(lambda: self._redis.client.get(self._key(window)))
        except StoreUnavailableError:
            return None
        try:
            return msgspec.msgpack.decode(cast("bytes", packed), type=Chart) if packed else None
        except msgspec.MsgspecError:
            return None  # of a release that wrote charts another way

    async def _standing(self, chart: Chart) -> Chart:
        """Return a chart without what was deleted since it was read, where that can be known."""
        if not chart.item_ids:
            return chart
        try:
            deleted = await self._deletions.run(lambda: self._source.deleted(chart.item_ids))
        except StoreUnavailableError:
            return chart
        return chart.without(deleted) if deleted else chart

    def _key(self, window: Window) -> str:
        return f"hot:{self._source.name}:{window.value}"
