"""Reads of Postgres that a page can do without."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from api.stores import Breaker

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
        self._places = asyncio.Semaphore(places)
        self._reads: set[asyncio.Task[T]] = set()

    async def run(self, read: Callable[[], Awaitable[T]]) -> T:
        """
        Return what `read` returns; raises `StoreUnavailableError` when it fails or takes too long.

        Waiting for a place is part of the time.
        """
        return await self.circuit.run(lambda: self._begin(read), self._timeout_seconds)

    async def close(self) -> None:
        """Let reads under way finish; each is bounded by the timeout of Postgres."""
        await asyncio.gather(*self._reads, return_exceptions=True)

    async def _begin(self, read: Callable[[], Awaitable[T]]) -> T:
        """
        Read in a task of its own, which a caller that gives up leaves alone.

        To cancel a query means waiting for a server that does not answer. The read holds its place
        until it ends, so that a slow Postgres meets no more of them than there are places.
        """
        await self._places.acquire()
        task = asyncio.create_task(self._read(read))
        self._reads.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    async def _read(self, read: Callable[[], Awaitable[T]]) -> T:
        return await read()

    def _ended(self, task: asyncio.Task[T]) -> None:
        self._places.release()
        self._reads.discard(task)
        if not task.cancelled():
            task.exception()  # told to whoever waited
