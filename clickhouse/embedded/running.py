"""The statements that run now, and a watch that stops those whose client has gone."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from clickhouse.embedded.engine import Engine

# How often the sockets of running statements are looked at (seconds).
_LOOK_EVERY_SECONDS = 0.1
_HANG_UP = select.POLLRDHUP | select.POLLHUP | select.POLLERR


@dataclass(slots=True, eq=False)
class _Statement:
    marker: str
    sock: socket.socket
    cancel_on_close: bool
    since: float
    killed: bool = False


class Running:
    """
    Knows the statements by a marker in their text.

    The engine gives every statement an id of its own and tells nobody; a comment at the end of
    the text finds it again in system.processes.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._statements: set[_Statement] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, name="client watch", daemon=True)
        self._thread.start()

    @contextmanager
    def watch(self, marker: str, sock: socket.socket, *, cancel_on_close: bool) -> Iterator[None]:
        """Register a statement while it runs."""
        statement = _Statement(marker, sock, cancel_on_close, time.monotonic())
        self._statements.add(statement)
        try:
            yield
        finally:
            self._statements.discard(statement)

    def kill_all(self) -> None:
        """Stop everything that runs (at the end of the grace period)."""
        for statement in list(self._statements):
            self._engine.kill(statement.marker)

    def close(self) -> None:
        """Stop watching."""
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stop.wait(_LOOK_EVERY_SECONDS):
            before = time.monotonic() - _LOOK_EVERY_SECONDS
            for statement in list(self._statements):
                if (
                    statement.cancel_on_close
                    and not statement.killed
                    and statement.since < before
                    and _hung_up(statement.sock)
                ):
                    statement.killed = True
                    self._engine.kill(statement.marker)


def _hung_up(sock: socket.socket) -> bool:
    poll = select.poll()
    try:
        poll.register(sock.fileno(), _HANG_UP)
        return bool(poll.poll(0))
    except (OSError, ValueError):
        return True
