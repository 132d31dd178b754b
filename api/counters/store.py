"""Counters for requests: kept with each write, read with each page, rebuilt when missing."""

from __future__ import annotations

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
from api.optional import OptionalReads
from api.settings import Settings
from api.stores import Postgres, RedisStore, StoreUnavailableError

REBUILDS_AT_ONCE = 2  # of one process (count)
# Looked up once: a page counts in each.
FROM_REDIS, FROM_POSTGRES, FROM_NOWHERE = map(COUNTERS_READ.labels, ("redis", "postgres", "none"))


class CounterStore:
    """
    Live counters of this service; Redis and Postgres may both be away, and no method raises.

    What a caller is told is then less (no counters of some items), never something wrong.
    """

    def __init__(self, redis: RedisStore, postgres: Postgres, settings: Settings) -> None:
        self._redis = redis
        self.line = redis.line
        self._postgres = postgres
        self._kept_seconds = kept_seconds(settings)
        self._keep = redis.client.register_script(LUA["keep_counts"])
        self._rebuilds = OptionalReads[list[ItemCounts]](
            "counters", REBUILDS_AT_ONCE, settings.counters_timeout_ms / 1000
        )

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
        await self._rebuilds.close()

    # ---------- what Redis does not know

    async def _rebuilt(self, item_type: ItemType, ids: Sequence[int]) -> dict[int, ItemCounts]:
        """Return counters from Postgres, all or none, within the time a feed can wait."""
        try:
            counts = await self._rebuilds.run(lambda: self._rebuild(item_type, ids))
        except StoreUnavailableError:
            return {}
        return {one.item_id: one for one in counts}

    async def _rebuild(self, item_type: ItemType, ids: Sequence[int]) -> list[ItemCounts]:
        """Read from Postgres and keep what comes, also zeros; when late, for the next page."""
        parameters: dict[str, Any] = {"item_type": item_type, "item_ids": list(ids)}
        rows = await self._postgres.rows(SQL["item_totals"], parameters)
        counts = [msgspec.convert(list(row.values())[:-1], ItemCounts) for row in rows]
        # A write that happens between the read and this has a larger version, and stays.
        await self.keep(counts)
        return counts
