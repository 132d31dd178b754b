"""How many statements run at once, how many may wait, and for how long."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from clickhouse.embedded.errors import (
    ABORTED,
    TOO_MANY_SIMULTANEOUS_QUERIES,
    ClickHouseError,
)


class _Waiter:
    """One who waits: `called` is released when the wait is over, `admitted` says how it ended."""

    __slots__ = ("admitted", "called")

    def __init__(self) -> None:
        self.called = threading.Lock()
        self.called.acquire()
        self.admitted = False


class Admission:
    """
    At most `running_max` statements at once, the rest in the order they came.

    Up to `waiting_max` wait, for `wait_seconds`; beyond that a client is told at once. A queue
    without a bound would only turn overload into timeouts everywhere. A place is handed to the one
    who waits longest, and only that thread wakes up: waking all of them for each place costs more
    than small statements do.
    """

    def __init__(self, running_max: int, waiting_max: int, wait_seconds: float) -> None:
        self._running_max = running_max
        self._waiting_max = waiting_max
        self._wait_seconds = wait_seconds
        self._lock = threading.Lock()
        self._running = 0
        self._waiting: deque[_Waiter] = deque()
        self._closed = False

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Hold a place among the running statements."""
        self._enter()
        try:
            yield
        finally:
            self._leave()

    def close(self) -> None:
        """Refuse all that is not yet running."""
        with self._lock:
            self._closed = True
            while self._waiting:
                self._waiting.popleft().called.release()

    def wait_until_idle(self, seconds: float) -> bool:
        """True when nothing runs any more, at the latest after `seconds`."""
        deadline = time.monotonic() + seconds
        while self._running:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.01)
        return True

    def _enter(self) -> None:
        with self._lock:
            if self._closed:
                raise ClickHouseError(ABORTED, "The server is shutting down")
            if self._running < self._running_max:
                self._running += 1
                return
            if len(self._waiting) >= self._waiting_max:
                raise self._too_many()
            waiter = _Waiter()
            self._waiting.append(waiter)
        if not waiter.called.acquire(timeout=self._wait_seconds):
            with self._lock:
                # It may have been called since the wait ended.
                if not waiter.called.acquire(blocking=False):
                    self._waiting.remove(waiter)
                    raise self._too_many()
        if not waiter.admitted:
            raise ClickHouseError(ABORTED, "The server is shutting down")

    def _leave(self) -> None:
        with self._lock:
            if self._waiting:
                # The place goes from hand to hand: `_running` stays.
                waiter = self._waiting.popleft()
                waiter.admitted = True
                waiter.called.release()
            else:
                self._running -= 1

    def _too_many(self) -> ClickHouseError:
        return ClickHouseError(
            TOO_MANY_SIMULTANEOUS_QUERIES,
            f"Too many simultaneous queries. Maximum: {self._running_max} running, "
            f"{self._waiting_max} waiting for {self._wait_seconds:g} s",
        )
