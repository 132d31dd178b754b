"""How many statements run at once, how many may wait, and for how long."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from clickhouse.embedded.errors import (
    ABORTED,
    TOO_MANY_SIMULTANEOUS_QUERIES,
    ClickHouseError,
)


class Admission:
    """
    At most `running_max` statements at once.

    Up to `waiting_max` more wait for `wait_seconds`; beyond that a client is told at once. A queue
    without a bound would only turn overload into timeouts everywhere.
    """

    def __init__(self, running_max: int, waiting_max: int, wait_seconds: float) -> None:
        self._running_max = running_max
        self._waiting_max = waiting_max
        self._wait_seconds = wait_seconds
        self._changed = threading.Condition()
        self._running = 0
        self._waiting = 0
        self._closed = False

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Hold a place among the running statements."""
        self._enter()
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def close(self) -> None:
        """Refuse all that is not yet running."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def wait_until_idle(self, seconds: float) -> bool:
        """True when nothing runs any more, at the latest after `seconds`."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while self._running:
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(min(left, 0.1))
        return True

    def _enter(self) -> None:
        with self._changed:
            if self._closed:
                raise ClickHouseError(ABORTED, "The server is shutting down")
            if self._running < self._running_max and not self._waiting:
                self._running += 1
                return
            if self._waiting >= self._waiting_max:
                raise self._too_many()
            deadline = time.monotonic() + self._wait_seconds
            self._waiting += 1
            try:
                while self._running >= self._running_max and not self._closed:
                    left = deadline - time.monotonic()
                    if left <= 0:
                        raise self._too_many()
                    self._changed.wait(left)
                if self._closed:
                    raise ClickHouseError(ABORTED, "The server is shutting down")
                self._running += 1
            finally:
                self._waiting -= 1

    def _too_many(self) -> ClickHouseError:
        return ClickHouseError(
            TOO_MANY_SIMULTANEOUS_QUERIES,
            f"Too many simultaneous queries. Maximum: {self._running_max} running, "
            f"{self._waiting_max} waiting for {self._wait_seconds:g} s",
        )
