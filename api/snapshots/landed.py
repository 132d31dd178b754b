"""
How far change capture has come: whoever ranks after a write waits here until it is in ClickHouse.

A position is where a write stands in change capture. With the pull transport it is the number of
the write's transaction, and the landing worker tells up to which number everything has landed, the
refreshing worker up to which what ranks was made of it. When that one tells nothing, what had
landed `SCHEDULED_SECONDS` ago is taken to be in it, by ClickHouse's own schedule. The Kafka
transport has no such number: there it is the moment the write was noted (milliseconds, by Redis'
clock), and a write counts as landed when it is `landing_settle_ms` old.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque

import structlog

from api.metrics import LANDING_WAIT_SECONDS, REFRESHED_UNTOLD
from api.settings import Settings
from api.snapshots.watch import POLL_SECONDS, Watch
from api.stores import RedisStore
from api.workers import LANDED_KEY, REFRESHED_KEY

WAITING_POLL_SECONDS = 0.02  # of everybody who waits in this process together
# After waits of this long together in which nothing landed, nobody waits until something does.
STANDING_SECONDS = 2.0
# Every model is refreshed every ten seconds also when nobody asks (`post_refresh_seconds`), and at
# most two stand one on another; the rest is for the refreshes themselves.
SCHEDULED_SECONDS = 25.0

log = structlog.get_logger(__name__)


class LandedWatch(Watch):
    """Knows the position up to which everything has landed; a quarter of a second late at most."""

    def __init__(self, redis: RedisStore, settings: Settings) -> None:
        super().__init__()
        self._redis = redis
        self._wait_seconds = settings.landing_wait_ms / 1000
        self._is_timed = not settings.has_positions
        self._settle_ms = settings.landing_settle_ms
        self._waiting = 0
        self._wanted = asyncio.Event()
        self._moved = asyncio.Condition()
        # Since when waits found nothing to move at all (`time.monotonic`), None when it did.
        self._still_since: float | None = None
        self._is_standing = False
        self.position = 0
        # Up to where what ranks is made of what has landed.
        self.refreshed = 0
        self._is_scheduled = False  # nobody tells
        # Positions of the last `SCHEDULED_SECONDS` and the one before, a second apart or more, each
        # with when it was first read (`time.monotonic`).
        self._earlier: deque[tuple[float, int]] = deque()

    async def has(self, position: int) -> bool:
        """
        Say whether a write has landed, after waiting for it for at most `landing_wait_ms`.

        Nobody waits while landing stands still, or for what cannot come in time.
        """
        if position <= self.position:
            return True
        if self._cannot_come(position):
            LANDING_WAIT_SECONDS.labels("skipped").observe(0)
            return False
        started, at_start = time.monotonic(), self.position
        self._waiting += 1
        self._wanted.set()
        try:
            async with asyncio.timeout(self._wait_seconds), self._moved:
                await self._moved.wait_for(lambda: position <= self.position)
        except TimeoutError:
            if self.position == at_start and self._still_since is None:
                self._still_since = started
        finally:
            self._waiting -= 1
        has_landed = position <= self.position
        outcome = "landed" if has_landed else "timeout"
        LANDING_WAIT_SECONDS.labels(outcome).observe(time.monotonic() - started)
        return has_landed

    def _cannot_come(self, position: int) -> bool:
        if self._is_timed:
            return position - self.position > self._wait_seconds * 1000
        if self._still_since is None or time.monotonic() - self._still_since < STANDING_SECONDS:
            return False
        if not self._is_standing:
            self._is_standing = True
            log.warning("landing_stands_still", landed=self.position, wanted=position)
        return True

    async def look(self) -> None:
        """Read the position once."""
        position, refreshed = await self._redis.run(self._read)
        if position is not None:
            self._note_refreshed(position, refreshed)
        # Unknown after Redis was emptied: what had landed is still there.
        if position is None or position == self.position:
            return
        if self._is_standing:
            log.info("landing_moves_again", landed=position)
        self.position, self._still_since, self._is_standing = position, None, False
        async with self._moved:
            self._moved.notify_all()

    def _note_refreshed(self, position: int, told: int | None) -> None:
        now = time.monotonic()
        if not self._earlier or now - self._earlier[-1][0] >= 1:
            self._earlier.append((now, position))
        while len(self._earlier) > 1 and now - self._earlier[1][0] >= SCHEDULED_SECONDS:
            self._earlier.popleft()
        if told is not None:
            if self._is_scheduled:
                log.info("refreshing_is_told_again", refreshed=told)
            self.refreshed, self._is_scheduled = told, False
            return
        REFRESHED_UNTOLD.inc()
        since, earlier = self._earlier[0]
        if now - since < SCHEDULED_SECONDS:
            return
        if not self._is_scheduled:
            log.warning("refreshing_is_not_told", refreshed=self.refreshed, landed=position)
        self.refreshed, self._is_scheduled = earlier, True

    async def _read(self) -> tuple[int | None, int | None]:
        if self._is_timed:
            seconds, microseconds = await self._redis.client.time()
            position = int(seconds) * 1000 + int(microseconds) // 1000 - self._settle_ms
            return position, position - self._settle_ms
        told = await self._redis.client.mget(LANDED_KEY, REFRESHED_KEY)
        landed, refreshed = (None if txid is None else int(txid) for txid in told)
        return landed, refreshed

    async def _pause(self) -> None:
        if self._waiting:
            await asyncio.sleep(WAITING_POLL_SECONDS)
            return
        self._wanted.clear()
        try:
            async with asyncio.timeout(POLL_SECONDS):
                await self._wanted.wait()
        except TimeoutError:
            return
