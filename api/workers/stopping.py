"""How a worker learns that it is to end."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from threading import Event
from typing import Any

from api.settings import Settings


def told_to_stop() -> Event:
    """Return what SIGTERM and SIGINT set from now on."""
    stop = Event()

    def end(*_: Any) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    return stop


async def until_told(
    work: Callable[[Settings, asyncio.Event], Awaitable[None]], settings: Settings
) -> None:
    """Work until SIGTERM or SIGINT, which the work learns of by its event."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await work(settings, stop)


async def ended(stop: asyncio.Event, seconds: float) -> None:
    """Wait until `stop` is set, for at most so long."""
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return
