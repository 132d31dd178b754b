"""HTTP sessions: one engine connection per `session_id`, kept between requests."""

from __future__ import annotations

import threading
import time

from clickhouse.embedded.connections import Connection
from clickhouse.embedded.engine import Engine
from clickhouse.embedded.errors import (
    INVALID_SESSION_TIMEOUT,
    SESSION_IS_LOCKED,
    SESSION_NOT_FOUND,
    ClickHouseError,
)

DEFAULT_TIMEOUT_SECONDS = 60
MAX_TIMEOUT_SECONDS = 3_600


class Session:
    """Settings, current database and temporary tables of one client."""

    def __init__(self, session_id: str, connection: Connection) -> None:
        self.session_id = session_id
        self.connection = connection
        self.busy = True
        self.timeout_seconds = float(DEFAULT_TIMEOUT_SECONDS)
        self.expires_at = 0.0


class Sessions:
    """The sessions of a server, closed when they were idle for their timeout."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._sessions: dict[str, Session] = {}

    def take(self, session_id: str, timeout_seconds: float, *, must_exist: bool) -> Session:
        """Open or resume a session for one request; a second one meanwhile is refused."""
        with self._lock:
            self._expire(time.monotonic())
            session = self._sessions.get(session_id)
            if session is not None:
                if session.busy:
                    raise ClickHouseError(
                        SESSION_IS_LOCKED, f"Session {session_id} is locked by a concurrent client"
                    )
                session.busy = True
                session.timeout_seconds = timeout_seconds
                return session
            if must_exist:
                raise ClickHouseError(SESSION_NOT_FOUND, f"Session {session_id} not found")
            session = Session(session_id, Connection(self._engine))
            session.timeout_seconds = timeout_seconds
            self._sessions[session_id] = session
            return session

    def give_back(self, session: Session, *, close: bool) -> None:
        """The request is over; the timeout begins, or the session ends."""
        with self._lock:
            session.busy = False
            if close:
                del self._sessions[session.session_id]
                session.connection.close()
            session.expires_at = time.monotonic() + session.timeout_seconds

    def expire(self) -> None:
        """Close what has been idle for too long; called about once a second."""
        with self._lock:
            self._expire(time.monotonic())

    def close(self) -> None:
        """Close all of them."""
        with self._lock:
            for session in self._sessions.values():
                session.connection.close()
            self._sessions.clear()

    def _expire(self, now: float) -> None:
        gone = [s for s in self._sessions.values() if not s.busy and s.expires_at <= now]
        for session in gone:
            del self._sessions[session.session_id]
            session.connection.close()


def parse_timeout(text: str | None) -> float:
    """`session_timeout` in seconds."""
    if text is None:
        return float(DEFAULT_TIMEOUT_SECONDS)
    if not text.isascii() or not text.isdigit():
        raise ClickHouseError(INVALID_SESSION_TIMEOUT, f"Invalid session timeout: '{text}'")
    if int(text) > MAX_TIMEOUT_SECONDS:
        raise ClickHouseError(
            INVALID_SESSION_TIMEOUT,
            f"Session timeout '{text}' is larger than max_session_timeout: {MAX_TIMEOUT_SECONDS}",
        )
    return float(text)
