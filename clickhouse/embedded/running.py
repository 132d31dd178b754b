"""The statements that run now, and a watch that stops those whose client has gone."""

from __future__ import annotations

import re
import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from clickhouse.embedded.engine import Engine
from clickhouse.embedded.errors import QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING, ClickHouseError

# How often the sockets of running statements are looked at (seconds).
_LOOK_EVERY_SECONDS = 0.1
_HANG_UP = select.POLLRDHUP | select.POLLHUP | select.POLLERR


# The one form of `kill query` that needs help: the engine does not know our query ids.
_KILL_BY_ID = re.compile(
    rb"(?is)\A(\s*kill\s+query\s+where\s+)query_id\s*=\s*'([^'\\]+)'(\s+(?:async|sync|test))?[\s;]*\Z"
)


@dataclass(slots=True, eq=False)
class _Statement:
    query_id: str
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
        self._statements: dict[str, _Statement] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, name="client watch", daemon=True)
        self._thread.start()

    @contextmanager
    def watch(
        self, query_id: str, marker: str, sock: socket.socket, *, cancel_on_close: bool
    ) -> Iterator[None]:
        """Register a statement while it runs."""
        statement = _Statement(query_id, marker, sock, cancel_on_close, time.monotonic())
        with self._lock:
            if query_id in self._statements:
                raise ClickHouseError(
                    QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING,
                    f"Query with id = {query_id} is already running",
                )
            self._statements[query_id] = statement
        try:
            yield
        finally:
            with self._lock:
                del self._statements[query_id]

    def translate_kill(self, sql: bytes) -> bytes:
        """`kill query where query_id = '…'` of one of our ids, as the engine understands it."""
        match = _KILL_BY_ID.match(sql)
        if match is None:
            return sql
        with self._lock:
            statement = self._statements.get(match[2].decode("utf-8", "replace"))
        if statement is None:
            return sql
        return match[1] + f"endsWith(query, '{statement.marker}')".encode() + (match[3] or b"")

    def kill_all(self) -> None:
        """Stop everything that runs (at the end of the grace period)."""
        for statement in self._snapshot():
            self._engine.kill(statement.marker)

    def close(self) -> None:
        """Stop watching."""
        self._stop.set()
        self._thread.join()

    def _snapshot(self) -> list[_Statement]:
        with self._lock:
            return list(self._statements.values())

    def _look(self) -> None:
        while not self._stop.wait(_LOOK_EVERY_SECONDS):
            before = time.monotonic() - _LOOK_EVERY_SECONDS
            for statement in self._snapshot():
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
