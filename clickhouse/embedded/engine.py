"""The only module that touches chDB: connections, statements, streams and inserts."""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import chdb

from clickhouse.embedded.errors import ClickHouseError, from_engine

# The engine raises plain RuntimeError; its binding adds UnicodeDecodeError when a message quotes
# bytes that are not UTF-8.
_ENGINE_ERRORS = (RuntimeError, UnicodeDecodeError, ValueError, TypeError)
_LOCK_FILE = "nova.lock"
# The compiled module under chdb's Python layer, which would add a progress display and a parser of
# connection strings to every statement. It has no type stubs.
_chdb: Any = chdb._chdb


class DataDirectoryInUseError(Exception):
    """Another process has this data directory open."""


class Chunk(NamedTuple):
    """A piece of a result: its bytes and what the engine read to make it."""

    data: bytes
    read_rows: int
    read_bytes: int
    result_rows: int


class Written(NamedTuple):
    """What a statement wrote, views included."""

    rows: int
    bytes: int


class Result(NamedTuple):
    """A whole result."""

    chunk: Chunk
    written: Written


class Engine:
    """The database of one directory. One process may have it open, and only once."""

    def __init__(self, data_dir: Path) -> None:
        data_dir.mkdir(parents=True, exist_ok=True)
        self.data_dir = data_dir.resolve()
        self._lock = _lock_directory(self.data_dir)
        try:
            # Kept open for the life of the process: with its last connection the engine stops.
            self._keeper: Any = _chdb.connect(str(self.data_dir))
        except _ENGINE_ERRORS as exc:
            self._lock.close()
            raise from_engine(exc) from exc
        # Python decides what a signal means, not the engine.
        _chdb.set_signal_handlers_enabled(False)
        self._admin = EngineConnection(_chdb.connect(str(self.data_dir)))
        self._admin_lock = threading.Lock()
        facts = self._admin.query("select version(), timezone(), hostName()", "TSV").chunk.data
        # Proper names of the output formats by their lower-case ones.
        names = self._admin.query("select name from system.formats where is_output", "TSV")
        self.formats = {name.lower(): name for name in names.chunk.data.decode().split()}
        # What the embedding itself sets on every connection; a reset goes back to these.
        self.base_settings: Mapping[str, str] = {}
        first = self.connect()
        self.base_settings = first.changed_settings()
        first.close()
        self.version, self.timezone, self.host_name = facts.decode().strip().split("\t")

    def connect(self) -> EngineConnection:
        """A new connection (0.15 ms): settings, database and temporary tables of its own."""
        connection = EngineConnection(_chdb.connect(str(self.data_dir)))
        # The engine would read `selec` as `select selec`; a server calls it a syntax error.
        connection.query("set implicit_select = 0", "Null")
        return connection

    def kill(self, marker: str) -> None:
        """Stop the statements whose text ends with `marker`; returns without waiting for them."""
        with self._admin_lock, suppress(ClickHouseError):
            self._admin.query(
                "kill query where endsWith(query, {marker:String}) async",
                "Null",
                {"marker": marker.replace("\\", "\\\\")},
            )

    def close(self) -> None:
        """Flush what is open and stop; safe to call twice."""
        if self._keeper is None:
            return
        self._admin.close()
        self._keeper.close()
        self._keeper = None
        self._lock.close()


class EngineConnection:
    """
    One chDB connection, to be used by one thread at a time.

    Every method raises ClickHouseError and nothing else of the engine's.
    """

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    def query(
        self,
        sql: str | bytes,
        output_format: str,
        params: Mapping[str, str] | None = None,
    ) -> Result:
        """Run any statement and hold its whole result."""
        try:
            result = self._raw.query(sql, output_format, params=dict(params or {}))
        except _ENGINE_ERRORS as exc:
            raise from_engine(exc) from exc
        return Result(_chunk(result), Written(result.rows_written(), result.bytes_written()))

    def stream(
        self, sql: str | bytes, output_format: str, params: Mapping[str, str] | None = None
    ) -> Stream:
        """Start a select whose result is fetched in pieces."""
        try:
            handle = self._raw.send_query(sql, output_format, params=dict(params or {}))
        except _ENGINE_ERRORS as exc:
            raise from_engine(exc) from exc
        return Stream(self._raw, handle)

    def insert(self, statement: bytes, input_format: str) -> Insert:
        """Start an insert whose rows are appended in pieces."""
        try:
            handle = self._raw.send_insert(statement, input_format)
        except _ENGINE_ERRORS as exc:
            raise from_engine(exc) from exc
        return Insert(self._raw, handle)

    def classify(self, sql: str | bytes) -> tuple[str, int]:
        """What a text would do (READ_ONLY, MUTATING, …, UNKNOWN) and how many statements it is."""
        try:
            facts = self._raw.classify_query(sql)
        except _ENGINE_ERRORS:
            return "UNKNOWN", 0
        return facts["query_class"].name, facts["statement_count"]

    def changed_settings(self) -> dict[str, str]:
        """Settings of this connection that are not at their default (about 4 ms)."""
        data = self.query(
            "select name, value from system.settings where changed and name != 'database'",
            "JSONCompactEachRow",
        ).chunk.data
        return dict(json.loads(line) for line in data.splitlines())

    def close(self) -> None:
        """Drop the connection with its temporary tables."""
        with suppress(*_ENGINE_ERRORS):
            self._raw.close()


class Stream:
    """A running select. `close` must be called if it is not read to the end."""

    def __init__(self, raw: Any, handle: Any) -> None:
        self._raw = raw
        self._handle = handle
        self._finished = False

    def chunks(self) -> Iterator[Chunk]:
        """The result, piece by piece; the last one holds no rows, but totals if there are any."""
        while not self._finished:
            try:
                result = self._raw.streaming_fetch_result(self._handle)
            except _ENGINE_ERRORS as exc:
                self._finished = True
                raise from_engine(exc) from exc
            if result is None:
                self._finished = True
                return
            chunk = _chunk(result)
            self._finished = chunk.result_rows == 0
            yield chunk

    def close(self) -> None:
        """Stop the select if it still runs."""
        if not self._finished:
            self._finished = True
            with suppress(*_ENGINE_ERRORS):
                self._raw.streaming_cancel_query(self._handle)


class Insert:
    """A running insert: `append` bytes in its format, then `finish` or `cancel`."""

    def __init__(self, raw: Any, handle: Any) -> None:
        self._raw = raw
        self._handle = handle

    def append(self, data: bytes) -> None:
        """Add the next bytes."""
        try:
            self._raw.insert_append(self._handle, data)
        except _ENGINE_ERRORS as exc:
            raise from_engine(exc) from exc

    def finish(self) -> Written:
        """Commit: when this returns, the rows are in parts that a restart finds."""
        try:
            result = self._raw.insert_done(self._handle)
        except _ENGINE_ERRORS as exc:
            raise from_engine(exc) from exc
        return Written(result.rows_written(), result.bytes_written())

    def cancel(self) -> None:
        """Give up; what was not yet written is dropped."""
        with suppress(*_ENGINE_ERRORS):
            self._raw.insert_cancel(self._handle)


def _chunk(result: Any) -> Chunk:
    return Chunk(
        result.bytes(),
        result.storage_rows_read(),
        result.storage_bytes_read(),
        result.rows_read(),
    )


def _lock_directory(data_dir: Path) -> Any:
    lock = (data_dir / _LOCK_FILE).open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        lock.seek(0)
        owner = lock.read().strip() or "unknown"
        lock.close()
        raise DataDirectoryInUseError(
            f"the data directory {data_dir} is in use by process {owner}; "
            "one process owns it, every other reaches it over HTTP"
        ) from exc
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n")
    lock.flush()
    return lock
