"""Counters for requests: kept with each write, read with each page, rebuilt when missing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any, cast

import msgspec

from api.counters.counts import (
    ItemCounts,
    ItemType,
    keep_calls,
    kept_seconds,
    key_of,
    newest,
    unpack,
)
from api.counters.statements import LUA, SQL
from api.metrics import COUNTERS_READ
from api.settings import Settings
from api.stores import Breaker, Postgres, RedisStore, StoreUnavailableError

# Connections that pages may hold at once, per process (count): the others are for writes.
REBUILDS_AT_ONCE = 2
REBUILD_FAILURES_TO_OPEN = 3  # consecutive (count)
REBUILD_OPEN_SECONDS = 1.0
# Looked up once: a page counts in each.
FROM_REDIS, FROM_POSTGRES, FROM_NOWHERE = map(COUNTERS_READ.labels, ("redis", "postgres", "none"))


class CounterStore:
    """
    Live counters of this service; Redis and Postgres may both be away, and no method raises.

    What a caller is told is then less (no counters of some items), never something wrong.
    """

    def __init__(self, redis: RedisStore, postgres: Postgres, settings: Settings) -> None:
        self._redis = redis
        self._postgres = postgres
        self._kept_seconds = kept_seconds(settings)
        self._rebuild_seconds = settings.counters_timeout_ms / 1000
        self._keep = redis.client.register_script(LUA["keep_counts"])
        # Not the writers' circuit: being too slow for a feed is not being down.
        self._breaker = Breaker("counters", REBUILD_FAILURES_TO_OPEN, REBUILD_OPEN_SECONDS)
        self._places = asyncio.Semaphore(REBUILDS_AT_ONCE)
        self._rebuilds: set[asyncio.Task[list[ItemCounts]]] = set()

    async def keep(self, counts: Sequence[ItemCounts]) -> None:
        """
        Keep what is newer than what Redis has, in one round trip for up to 200 items.

        Lost when Redis is away: the reconciliation worker finds it and makes up for it.
        """
        for keys, args in keep_calls(newest(counts), self._kept_seconds):
            try:
                await self._redis.run(partial(self._keep, keys, args))
            except StoreUnavailableError:
                return

    async def read(self, item_type: ItemType, ids: Sequence[int]) -> dict[int, ItemCounts]:
        """
        Return counters by id, from Redis in one round trip, and the missing from Postgres.

        Those that neither could tell are absent; all of them while Redis is away, when every page
        would have to ask Postgres.
        """
        if not ids:
            return {}
        keys = [key_of(item_type, item_id) for item_id in ids]
        try:
            values = cast(
                "list[bytes | None]", await self._redis.run(lambda: self._redis.client.mget(keys))
            )
        except StoreUnavailableError:
            FROM_NOWHERE.inc(len(ids))
            return {}
        found = {
            item_id: unpack(item_type, item_id, value)
            for item_id, value in zip(ids, values, strict=True)
            if value is not None
        }
        FROM_REDIS.inc(len(found))
        missing = [item_id for item_id in ids if item_id not in found]
        if missing:
            rebuilt = await self._rebuilt(item_type, missing)
            FROM_POSTGRES.inc(len(rebuilt))
            FROM_NOWHERE.inc(len(missing) - len(rebuilt))
            found |= rebuilt
        return found

    async def close(self) -> None:
        """Let reads under way finish; each is bounded by its timeout."""
        await asyncio.gather(*self._rebuilds, return_exceptions=True)

    # ---------- what Redis does not know

    async def _rebuilt(self, item_type: ItemType, ids: Sequence[int]) -> dict[int, ItemCounts]:
        """Return counters from Postgres, all or none, within the time a feed can wait."""
        try:
            counts = await self._breaker.run(
                lambda: self._ask(item_type, ids), self._rebuild_seconds
            )
        except StoreUnavailableError:
            return {}
        return {one.item_id: one for one in counts}

    async def _ask(self, item_type: ItemType, ids: Sequence[int]) -> list[ItemCounts]:
        """
        Read from Postgres in a task of its own, and keep what comes, also zeros.

        A caller that gives up leaves the task alone: to cancel a query means waiting for a server
        that does not answer, and what comes late serves the next page. It holds its place until
        it ends, so that a slow Postgres meets no more than `REBUILDS_AT_ONCE` of them.
        """
        await self._places.acquire()
        task = asyncio.create_task(self._rebuild(item_type, ids))
        self._rebuilds.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    def _ended(self, task: asyncio.Task[list[ItemCounts]]) -> None:
        self._places.release()
        self._rebuilds.discard(task)
        if not task.cancelled():
            task.exception()  # told to whoever waited

    async def _rebuild(self, item_type: ItemType, ids: Sequence[int]) -> list[ItemCounts]:
        parameters: dict[str, Any] = {"item_type": item_type, "item_ids": list(ids)}
        rows = await self._postgres.rows(SQL["item_totals"], parameters)
        counts = [msgspec.convert(tuple(row.values()), ItemCounts) for row in rows]
        # A write that happens between the read and this has a larger version, and stays.
        await self.keep(counts)
        return counts
