"""Reads of Postgres that a page can do without."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from api.metrics import STORE_CROWDED
from api.stores import Breaker, StoreUnavailableError

T = TypeVar("T")

FAILURES_TO_OPEN = 3  # consecutive (count)
OPEN_SECONDS = 1.0


class OptionalReads(Generic[T]):
    """
    Reads that a page waits for only briefly, however Postgres is; few at a time.

    A circuit of their own, not the writers': being too slow for a page is not being down. They
    hold at most `places` connections of the process, so that the others are for writes.
    """

    def __init__(self, name: str, places: int, timeout_seconds: float) -> None:
        self._timeout_seconds = timeout_seconds
        self.circuit = Breaker(name, FAILURES_TO_OPEN, OPEN_SECONDS)
        self._places_max = places
        self._places = asyncio.Semaphore(places)
        self._reads: set[asyncio.Task[T]] = set()
        self._late: set[asyncio.Task[T]] = set()  # whose callers have given up

    async def run(self, read: Callable[[], Awaitable[T]]) -> T:
        """
        Return what `read` returns; raises `StoreUnavailableError` when it fails or takes too long.

        A place is waited for at most half of the time, which the read then has for itself. Whoever
        waits in vain is told the same, but not the circuit: a crowd does not mean that Postgres is
        ill. Nobody waits behind reads that are late, every one of them.
        """
        if self.circuit.is_refusing:
            raise StoreUnavailableError(self.circuit.store)
        await self._place()
        if self.circuit.is_refusing:
            self._places.release()
            raise StoreUnavailableError(self.circuit.store)
        task = self._begin(read)
        try:
            return await self.circuit.run(lambda: asyncio.shield(task), self._timeout_seconds)
        except StoreUnavailableError:
            if not task.done():
                self._late.add(task)
            raise

    async def close(self) -> None:
        """Let reads under way finish; each is bounded by the timeout of Postgres."""
        await asyncio.gather(*self._reads, return_exceptions=True)

    async def _place(self) -> None:
        """Take a place; raises `StoreUnavailableError` when there is none in time."""
        try:
            if len(self._late) == self._places_max:
                raise TimeoutError
            async with asyncio.timeout(self._timeout_seconds / 2):
                await self._places.acquire()
        except TimeoutError as exc:
            STORE_CROWDED.labels(self.circuit.store).inc()
            raise StoreUnavailableError(self.circuit.store) from exc

    def _begin(self, read: Callable[[], Awaitable[T]]) -> asyncio.Task[T]:
        """
        Read in a task of its own, which a caller that gives up leaves alone.

        To cancel a query means waiting for a server that does not answer. The read holds its place
        until it ends, so that a slow Postgres meets no more of them than there are places.
        """
        task = asyncio.create_task(self._read(read))
        self._reads.add(task)
        task.add_done_callback(self._ended)
        return task

    async def _read(self, read: Callable[[], Awaitable[T]]) -> T:
        return await read()

    def _ended(self, task: asyncio.Task[T]) -> None:
        self._places.release()
        self._reads.discard(task)
        self._late.discard(task)
        if not task.cancelled():
            task.exception()  # told to whoever waited
