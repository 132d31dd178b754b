"""
Engine connections that carry a request's database and settings, and a pool of them.

A request's settings must hold for that request and for no other. `set` costs a round trip of
0.2 ms, so a connection keeps what the last request set, remembers it, and changes only the
difference; the pool hands out the connection that differs least. In the steady state, where an
application sends the same settings again and again, nothing is set at all.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import suppress

from clickhouse.embedded.engine import Engine, EngineConnection
from clickhouse.embedded.errors import UNKNOWN_DATABASE, ClickHouseError

DEFAULT_DATABASE = "default"
# Idle connections kept: enough for a few combinations of settings times the running queries.
_MAX_IDLE = 32


class Connection:
    """An engine connection with a known database and known settings."""

    def __init__(self, engine: Engine) -> None:
        self.raw: EngineConnection = engine.connect()
        # What the connection itself was set to (by `set` in a session) beyond the defaults.
        self._own: Mapping[str, str] = engine.base_settings
        self._own_database = DEFAULT_DATABASE
        # What the last request put on top of it.
        self._overrides: dict[str, str] = {}
        self._database = DEFAULT_DATABASE

    def distance(self, database: str | None, settings: Mapping[str, str]) -> int:
        """How many changes `prepare` would need."""
        changes = sum(1 for name, value in settings.items() if self._overrides.get(name) != value)
        changes += sum(1 for name in self._overrides if name not in settings)
        return changes + (self._database != (database or self._own_database))

    def prepare(self, database: str | None, settings: Mapping[str, str]) -> None:
        """Make this request's database and settings hold, and only those."""
        wanted_database = database or self._own_database
        # Another database may have been dropped since; a server would notice, the engine does not.
        if not (wanted_database == self._database == DEFAULT_DATABASE):
            self._use(wanted_database)
        if settings == self._overrides:
            return
        changes = [self._assignment(name) for name in self._overrides if name not in settings]
        changes += [
            f"{name} = {quote(value)}"
            for name, value in settings.items()
            if self._overrides.get(name) != value
        ]
        try:
            self.raw.query(f"set {', '.join(changes)}", "Null")
        except ClickHouseError:
            # One was refused; those before it in the list hold. Take all of them back.
            self._take_back({*self._overrides, *settings})
            raise
        self._overrides = dict(settings)

    def remember_own_state(self) -> None:
        """After a `set` or `use` of the client's: what holds now is the session's own."""
        self._own = self.raw.changed_settings()
        self._overrides = {}
        current = self.raw.query("select currentDatabase()", "TSVRaw").chunk.data
        self._own_database = self._database = current.decode().rstrip("\n")

    def close(self) -> None:
        """Drop it with its temporary tables."""
        self.raw.close()

    def _use(self, database: str) -> None:
        try:
            self.raw.query(f"use {quote_identifier(database)}", "Null")
        except ClickHouseError as exc:
            if exc.code == UNKNOWN_DATABASE:
                raise ClickHouseError(
                    UNKNOWN_DATABASE, f"Database {database} does not exist"
                ) from exc
            raise
        self._database = database

    def _take_back(self, names: set[str]) -> None:
        for name in names:
            # A name that is no setting was not set either.
            with suppress(ClickHouseError):
                self.raw.query(f"set {self._assignment(name)}", "Null")
        self._overrides = {}

    def _assignment(self, name: str) -> str:
        return f"{name} = {quote(self._own[name])}" if name in self._own else f"{name} = default"


class Pool:
    """Connections for requests without a session."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._idle: list[Connection] = []
        self._closed = False

    def take(self, database: str | None, settings: Mapping[str, str]) -> Connection:
        """The idle connection nearest to what is asked, or a new one."""
        with self._lock:
            best, best_distance = -1, 1
            for at in range(len(self._idle) - 1, -1, -1):
                distance = self._idle[at].distance(database, settings)
                if distance == 0:
                    return self._idle.pop(at)
                if best < 0 or distance < best_distance:
                    best, best_distance = at, distance
            if best >= 0 and len(self._idle) >= _MAX_IDLE:
                return self._idle.pop(best)
        return Connection(self._engine)

    def give_back(self, connection: Connection) -> None:
        """Return a connection that holds nothing of its last client but known settings."""
        with self._lock:
            if not self._closed and len(self._idle) < _MAX_IDLE:
                self._idle.append(connection)
                return
        connection.close()

    def close(self) -> None:
        """Close the idle ones; later ones are closed when given back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()


def quote(text: str) -> str:
    """A SQL string literal."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def quote_identifier(name: str) -> str:
    """A SQL name."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"
