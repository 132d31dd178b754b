"""How a worker learns that it is to end."""

from __future__ import annotations

import signal
from threading import Event
from typing import Any


def told_to_stop() -> Event:
    """Return what SIGTERM and SIGINT set from now on."""
    stop = Event()

    def end(*_: Any) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    return stop
