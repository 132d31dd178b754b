"""What every process looks at again and again, because asking for each request costs too much."""

from __future__ import annotations

import asyncio
import contextlib

from api.stores import StoreUnavailableError

POLL_SECONDS = 0.25


class Watch:
    """Looks every `POLL_SECONDS`; keeps the last answer while its store is away."""

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None
        self._is_stopping = False

    async def start(self) -> None:
        """Look once, so that the first requests find an answer; then begin to poll."""
        with contextlib.suppress(StoreUnavailableError):
            await self.look()
        self._task = asyncio.create_task(self._poll())

    async def stop(self) -> None:
        """End the polling."""
        # A cancellation that meets the end of a Redis command can get lost in the client.
        self._is_stopping = True
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def look(self) -> None:
        """Look once; raises `StoreUnavailableError`."""
        raise NotImplementedError

    async def _poll(self) -> None:
        while not self._is_stopping:
            await self._pause()
            with contextlib.suppress(StoreUnavailableError):
                await self.look()

    async def _pause(self) -> None:
        await asyncio.sleep(POLL_SECONDS)
