"""One request for `/`: what the statement is, how it is run, and what is answered."""

from __future__ import annotations

import json
import sys
import time
import traceback
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass

from clickhouse.embedded import compression, forms, native, request, statements
from clickhouse.embedded.admission import Admission
from clickhouse.embedded.connections import Connection, Pool, quote_identifier
from clickhouse.embedded.engine import Engine, Written
from clickhouse.embedded.errors import (
    BAD_ARGUMENTS,
    NOT_IMPLEMENTED,
    QUERY_IS_TOO_LARGE,
    READONLY,
    SYNTAX_ERROR,
    UNKNOWN_EXCEPTION,
    ClickHouseError,
)
from clickhouse.embedded.protocol import ClientGoneError, HttpConnection, Request
from clickhouse.embedded.request import QueryRequest
from clickhouse.embedded.response import ResultWriter
from clickhouse.embedded.running import Running
from clickhouse.embedded.sessions import Sessions

# A statement (without an insert's rows) may be this long (bytes); the engine's own max_query_size
# is smaller, this only bounds memory.
_MAX_STATEMENT_BYTES = 64 << 20
# How far the rows of an insert may begin into the body (bytes).
_MAX_INSERT_HEAD_BYTES = 1 << 20
_SELECTS = frozenset({"SELECT", "WITH", "FROM"})
# Formats whose pieces, put together, are the whole: no header, footer or count. All others are
# made in one piece by the engine.
_STREAMABLE = frozenset(
    {
        "Native",
        "RowBinary",
        "TabSeparated",
        "TabSeparatedRaw",
        "TSV",
        "TSVRaw",
        "Raw",
        "CSV",
        "JSONEachRow",
        "JSONLines",
        "NDJSON",
        "JSONCompactEachRow",
        "JSONStringsEachRow",
        "LineAsString",
        "MsgPack",
        "TSKV",
        "RawBLOB",
    }
)
_NOT_STREAMABLE_TEXT = "Streaming query is not supported for query"
_CONTENT_TYPES = {
    "JSON": "application/json; charset=UTF-8",
    "JSONCompact": "application/json; charset=UTF-8",
    "JSONStrings": "application/json; charset=UTF-8",
    "JSONCompactStrings": "application/json; charset=UTF-8",
    "JSONColumns": "application/json; charset=UTF-8",
    "JSONEachRow": "application/x-ndjson; charset=UTF-8",
    "JSONCompactEachRow": "application/x-ndjson; charset=UTF-8",
    "JSONLines": "application/x-ndjson; charset=UTF-8",
    "NDJSON": "application/x-ndjson; charset=UTF-8",
    "CSV": "text/csv; charset=UTF-8; header=absent",
    "CSVWithNames": "text/csv; charset=UTF-8; header=present",
    "TabSeparated": "text/tab-separated-values; charset=UTF-8",
    "TSV": "text/tab-separated-values; charset=UTF-8",
    "XML": "application/xml; charset=UTF-8",
    "Native": "application/octet-stream",
    "RowBinary": "application/octet-stream",
    "RowBinaryWithNamesAndTypes": "application/octet-stream",
    "Parquet": "application/octet-stream",
    "Arrow": "application/octet-stream",
    "ArrowStream": "application/octet-stream",
}


@dataclass(slots=True)
class _Progress:
    """What a statement read and wrote so far."""

    started: float
    read_rows: int = 0
    read_bytes: int = 0
    result_rows: int = 0
    written_rows: int = 0
    written_bytes: int = 0

    def wrote(self, written: Written) -> None:
        self.written_rows = written.rows
        self.written_bytes = written.bytes

    def summary(self, result_bytes: int) -> str:
        elapsed_ns = int((time.perf_counter() - self.started) * 1e9)
        read_rows = self.read_rows or self.written_rows
        return (
            f'{{"read_rows":"{read_rows}","read_bytes":"{self.read_bytes or self.written_bytes}",'
            f'"written_rows":"{self.written_rows}","written_bytes":"{self.written_bytes}",'
            f'"total_rows_to_read":"{read_rows}",'
            f'"result_rows":"{self.result_rows or self.written_rows}",'
            f'"result_bytes":"{result_bytes or self.written_bytes}","elapsed_ns":"{elapsed_ns}"}}'
        )


class Handler:
    """Runs statements for the HTTP connections of a server."""

    def __init__(
        self, engine: Engine, admission: Admission, running: Running, password: str
    ) -> None:
        self._engine = engine
        self._admission = admission
        self._running = running
        self._password = password
        self.pool = Pool(engine)
        self.sessions = Sessions(engine)
        self._memory = statements.Memory()

    def handle(self, http: HttpConnection, head: Request) -> bool:
        """Answer a request; False when the connection cannot be used any more."""
        query_id = str(uuid.uuid4())
        headers = {
            "Content-Type": "text/plain; charset=UTF-8",
            "X-ClickHouse-Server-Display-Name": self._engine.host_name,
            "X-ClickHouse-Query-Id": query_id,
            "X-ClickHouse-Timezone": self._engine.timezone,
            "Connection": "Keep-Alive" if head.keep_alive else "Close",
        }
        writer = ResultWriter(http, headers, head_only=head.method == "HEAD")
        try:
            pairs = request.fields(head.query_string)
            request.check_password(self._password, head.headers, pairs)
            form = forms.Form()
            if forms.is_form(head.headers.get("content-type", "")):
                form = forms.read_form(_body(http, head), head.headers["content-type"])
                pairs |= form.fields
            tables = form.external_tables(pairs)
            for table in tables:
                for part in ("format", "structure", "types"):
                    pairs.pop(f"{table.name}_{part}", None)
            asked = request.parse(head.method, pairs, head.headers, query_id)
            headers["X-ClickHouse-Query-Id"] = asked.query_id
            headers["X-ClickHouse-Timezone"] = asked.settings.get(
                "session_timezone", self._engine.timezone
            )
            if asked.unsupported:
                raise ClickHouseError(
                    NOT_IMPLEMENTED,
                    f"The parameter {asked.unsupported}=1 is not supported here; "
                    "use Content-Encoding and Accept-Encoding",
                )
            if asked.compress_response:
                encoding = compression.choose_encoding(head.headers.get("accept-encoding", ""))
                writer.compress(encoding, asked.compression_level)
            writer.hold_back_all = asked.wait_end_of_query
            self._answer(http, head, asked, tables, headers, writer)
        except ClickHouseError as exc:
            return self._fail(writer, exc)
        except ClientGoneError:
            writer.abandon()
            raise
        except Exception as exc:
            # A fault of ours: the client gets an answer, the log the whole story.
            traceback.print_exc(file=sys.stderr)
            return self._fail(writer, ClickHouseError(UNKNOWN_EXCEPTION, f"{type(exc).__name__}"))
        return True

    def _fail(self, writer: ResultWriter, error: ClickHouseError) -> bool:
        return writer.fail(
            error.http_status,
            {"X-ClickHouse-Exception-Code": str(error.code)},
            error.text(self._engine.version).encode("utf-8", "replace"),
        )

    def _answer(
        self,
        http: HttpConnection,
        head: Request,
        asked: QueryRequest,
        tables: list[forms.ExternalTable],
        headers: dict[str, str],
        writer: ResultWriter,
    ) -> None:
        text = _Text(_query_then_body(http, head, asked))
        keyword = text.first_keyword()
        split = text.split_insert() if keyword == "INSERT" else None
        if split is None:
            text.read_all()
            if not text.data.strip():
                raise ClickHouseError(SYNTAX_ERROR, "Empty query")
        with self._admission.slot(), self._connection(asked) as (connection, outcome):
            runner = _Runner(
                *(http, asked, headers, writer, connection, outcome),
                self._running,
                self._engine.formats,
                self._memory,
            )
            if split is not None:
                runner.insert(split, text)
            else:
                runner.statement(text.data, keyword, tables)
        # Only now, with session and place given back: the answer may bring the next request.
        writer.finish(runner.progress.summary(writer.result_bytes))

    @contextmanager
    def _connection(self, asked: QueryRequest) -> Iterator[tuple[Connection, _Outcome]]:
        """The connection of the session, or one of the pool's."""
        if asked.session_id is None:
            connection = self.pool.take(asked.database, asked.settings)
            outcome = _Outcome(in_session=False)
            try:
                yield connection, outcome
            finally:
                if outcome.is_tainted:
                    connection.close()
                else:
                    self.pool.give_back(connection)
            return
        session = self.sessions.take(
            asked.session_id, asked.session_timeout_seconds, must_exist=asked.session_check
        )
        try:
            yield session.connection, _Outcome(in_session=True)
        finally:
            self.sessions.give_back(session, close=asked.close_session)


@dataclass(slots=True)
class _Outcome:
    """What a statement leaves behind on its connection."""

    in_session: bool
    # True when the connection must not serve another client.
    is_tainted: bool = False


class _Text:
    """The start of the statement and its data: read no further than needed."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self.data = b""
        self.complete = False

    def read_more(self) -> None:
        piece = next(self._chunks, None)
        if piece is None:
            self.complete = True
        else:
            self.data += piece

    def read_all(self) -> None:
        pieces = [self.data]
        size = len(self.data)
        for piece in self._chunks:
            pieces.append(piece)
            size += len(piece)
            if size > _MAX_STATEMENT_BYTES:
                raise ClickHouseError(
                    QUERY_IS_TOO_LARGE, f"The query is larger than {_MAX_STATEMENT_BYTES} bytes"
                )
        self.data = b"".join(pieces)
        self.complete = True

    def first_keyword(self) -> str:
        while True:
            keyword = statements.first_keyword(self.data)
            # A word that touches the end may go on in the next piece.
            if self.complete or (keyword and len(self.data) > 64) or len(self.data) > 65_536:
                return keyword
            self.read_more()

    def split_insert(self) -> statements.InsertSplit | None:
        while True:
            try:
                return statements.split_insert(self.data, complete=self.complete)
            except statements.NeedMoreError:
                if len(self.data) > _MAX_INSERT_HEAD_BYTES:
                    raise ClickHouseError(
                        QUERY_IS_TOO_LARGE,
                        f"The insert's rows do not begin within {_MAX_INSERT_HEAD_BYTES} bytes",
                    ) from None
                self.read_more()

    def rows(self, start: int) -> Iterator[bytes]:
        """What follows the statement."""
        if start < len(self.data):
            yield self.data[start:]
        self.data = b""
        yield from self._chunks


class _Runner:
    """Runs one statement on one connection."""

    def __init__(
        self,
        http: HttpConnection,
        asked: QueryRequest,
        headers: dict[str, str],
        writer: ResultWriter,
        connection: Connection,
        outcome: _Outcome,
        running: Running,
        formats: Mapping[str, str],
        memory: statements.Memory,
    ) -> None:
        self._http = http
        self._asked = asked
        self._headers = headers
        self._writer = writer
        self._connection = connection
        self._outcome = outcome
        self._running = running
        self._formats = formats
        self._memory = memory
        self.progress = _Progress(time.perf_counter())

    def insert(self, split: statements.InsertSplit, text: _Text) -> None:
        """An insert with its rows in the request, passed on piece by piece."""
        self._refuse_if_readonly()
        if statements.reads_input(split.statement):
            # The engine would answer success and drop the rows.
            raise ClickHouseError(
                NOT_IMPLEMENTED, "insert … select from input() is not supported by the engine here"
            )
        self._prepare(self._asked.settings)
        raw = self._connection.raw
        if self._asked.params:
            # The engine fills parameters into whole statements only.
            text.read_all()
            result = raw.query(text.data, "Null", self._asked.params)
            self.progress.wrote(result.written)
        else:
            insert = raw.insert(split.statement, split.format)
            try:
                for piece in text.rows(split.data_start):
                    insert.append(piece)
            except BaseException:
                insert.cancel()
                raise
            self.progress.wrote(insert.finish())

    def statement(self, sql: bytes, keyword: str, tables: list[forms.ExternalTable]) -> None:
        """Anything else."""
        kind, count, bare_sql, explicit_format = self._taken_apart(sql)
        if count > 1:
            raise ClickHouseError(SYNTAX_ERROR, "Syntax error (Multi-statements are not allowed)")
        is_read_only = kind in ("READ_ONLY", "UNKNOWN")
        if kind in ("MUTATING", "MUTATING_GLOBAL"):
            self._refuse_if_readonly()
        # `set`, `use`, `create temporary table`, `system …`: may leave something behind.
        in_session = self._outcome.in_session
        if not in_session and (tables or kind in ("CONTROL", "UNKNOWN")):
            self._outcome.is_tainted = True
        changes_session = in_session and keyword in ("SET", "USE")
        self._prepare({} if changes_session else self._asked.settings)
        output_format = self._choose_format(explicit_format)
        if keyword == "KILL":
            sql = self._running.translate_kill(sql)
        marker = f"/* query_id: {uuid.uuid4().hex} */"
        cancel = is_read_only and self._asked.cancel_on_close
        watch = self._running.watch(
            self._asked.query_id, marker, self._http.sock, cancel_on_close=cancel
        )
        with watch, self._external(tables):
            try:
                self._run(_marked(sql, marker), keyword, output_format)
            finally:
                if changes_session:
                    self._connection.remember_own_state()
            if self.progress.result_rows == 0 and output_format == "Native" and is_read_only:
                self._write_native_header(statements.without_end(bare_sql), keyword)

    def _taken_apart(self, sql: bytes) -> statements.Remembered:
        """What the statement is; from memory when it has come before."""
        # A session may have set another dialect, in which the same text is something else.
        memory = None if self._outcome.in_session else self._memory
        known = memory.find(sql) if memory else None
        if known is None:
            known = statements.Remembered(
                *self._connection.raw.classify(sql), *statements.split_format(sql, self._formats)
            )
            if memory and known.kind == "READ_ONLY":
                memory.keep(sql, known)
        return known

    def _choose_format(self, explicit: str | None) -> str:
        """The format of the answer, which the statement's own `format X` decides."""
        asked = self._asked.default_format
        output_format = explicit or self._formats.get(asked.lower(), asked)
        self._headers["X-ClickHouse-Format"] = output_format
        self._headers["Content-Type"] = _CONTENT_TYPES.get(
            output_format, "text/plain; charset=UTF-8"
        )
        return output_format

    @contextmanager
    def _external(self, tables: list[forms.ExternalTable]) -> Iterator[None]:
        """External tables are there for one statement."""
        raw = self._connection.raw
        made: list[str] = []
        try:
            for table in tables:
                raw.query(table.create_statement(), "Null")
                made.append(table.name)
                insert = raw.insert(table.insert_statement(), table.format)
                insert.append(table.data)
                insert.finish()
            yield
        finally:
            for name in made:
                raw.query(f"drop temporary table if exists {quote_identifier(name)}", "Null")

    def _run(self, sql: bytes, keyword: str, output_format: str) -> None:
        if not self._streamed(sql, keyword, output_format):
            self._whole(sql, output_format)

    def _streamed(self, sql: bytes, keyword: str, output_format: str) -> bool:
        """Run it as a stream; False if it is no select or the format has to be made whole."""
        if keyword not in _SELECTS or output_format not in _STREAMABLE:
            return False
        # One setting makes a document of a row format.
        if b"array_of_rows" in sql or "output_format_json_array_of_rows" in self._asked.settings:
            return False
        progress = self.progress
        try:
            stream = self._connection.raw.stream(sql, output_format, self._asked.params)
        except ClickHouseError as exc:
            if exc.code == BAD_ARGUMENTS and _NOT_STREAMABLE_TEXT in exc.message:
                return False
            raise
        with closing(stream):
            for chunk in stream.chunks():
                progress.read_rows += chunk.read_rows
                progress.read_bytes += chunk.read_bytes
                progress.result_rows += chunk.result_rows
                if chunk.data:
                    self._writer.write(chunk.data)
        return True

    def _whole(self, sql: bytes, output_format: str) -> None:
        result = self._connection.raw.query(sql, output_format, self._asked.params)
        progress = self.progress
        progress.read_rows = result.chunk.read_rows
        progress.read_bytes = result.chunk.read_bytes
        progress.result_rows = result.chunk.result_rows
        progress.wrote(result.written)
        self._writer.write(result.chunk.data)

    def _write_native_header(self, bare_sql: bytes, keyword: str) -> None:
        raw, params = self._connection.raw, self._asked.params
        if keyword in _SELECTS:
            described = raw.query(
                b"describe table (" + bare_sql + b"\n)", "JSONCompactEachRow", params
            ).chunk.data
            rows = (json.loads(line) for line in described.splitlines())
            columns = [(row[0], row[1]) for row in rows]
        else:
            # Statements such as `show tables` cannot be described, but cost nothing to repeat.
            again = raw.query(bare_sql, "RowBinaryWithNamesAndTypes", params).chunk.data
            columns = native.read_names_and_types(again) if again else []
        if columns:
            self._writer.write(native.header_block(columns))

    def _prepare(self, settings: dict[str, str]) -> None:
        try:
            self._connection.prepare(self._asked.database, settings)
        except ClickHouseError:
            self._outcome.is_tainted = True
            raise

    def _refuse_if_readonly(self) -> None:
        if self._asked.readonly:
            raise ClickHouseError(
                READONLY,
                "Cannot execute query in readonly mode. "
                "For queries over HTTP, method GET implies readonly. "
                "You should use method POST for modifying queries",
            )


def _query_then_body(http: HttpConnection, head: Request, asked: QueryRequest) -> Iterator[bytes]:
    """The query of the URL, then the body, as one text like the server's."""
    if asked.query:
        yield asked.query.encode("utf-8", "surrogateescape")
        if head.has_body:
            yield b"\n"
    yield from _body(http, head)


def _body(http: HttpConnection, head: Request) -> Iterator[bytes]:
    """The body, decompressed; nothing the second time."""
    if head.has_body:
        yield from compression.decode(http.body(), head.headers.get("content-encoding", ""))


def _marked(sql: bytes, marker: str) -> bytes:
    return sql.rstrip().rstrip(b";") + f"\n{marker}".encode()
