"""
One import from its files to its report.

Files are staged in temporary tables, parsed there, and stored chunk by chunk, each chunk in one
transaction that also remembers the chunk. Killed anywhere, the same import goes on behind the last
stored chunk; run again, it finds everything there. All of that is SQL (`app.import_*`); this module
says when.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psycopg
from msgspec import Struct
from psycopg import Connection
from psycopg.types.json import Jsonb

from api.importing.errors import ImportInterruptedError, ImportRefusedError
from api.importing.lines import copy_lines
from api.importing.progress import Progress
from api.importing.report import EntityCount, ImportReport, MalformedLine
from api.settings import Settings

MALFORMED_SHOWN = 1_000

# Raised by app.import_* with a message made for the person at the terminal.
REFUSED = "NVI01"


# One import of a data set at a time. The wait is for one that was killed a moment ago.
LOCK_KEY = "hashtextextended('app.import ' || %s, 0)"
LOCK_WAIT = "10s"


class SourceFile(Struct, frozen=True):
    """A file to import: how its lines read, and how many of them make one transaction."""

    path: Path
    format: str
    lines_per_chunk: int


def run_import(
    settings: Settings,
    source: str,
    files: Sequence[SourceFile],
    *,
    until: date | None = None,
    shift_to_now: bool,
    progress: Progress,
) -> ImportReport:
    """
    Import files in the given order and report what happened.

    `until` is the last day (UTC, by the data set's clock) that is imported. Raises
    `ImportRefusedError` when nothing can be imported; a bad line is only reported.
    """
    started = time.monotonic()
    last_instant = (
        datetime(until.year, until.month, until.day, tzinfo=UTC)
        + timedelta(days=1, microseconds=-1)
        if until
        else None
    )
    options = {"until": last_instant.isoformat()} if last_instant else {}

    with import_session(settings, source) as connection:
        hashes: dict[str, str] = {}
        lines: dict[str, int] = {}
        for file in files:
            name = file.path.name
            progress(f"reading {name}", 0, 0)
            connection.execute("select app.import_stage_file(%s, %s)", (name, file.format))
            hashes[name] = copy_lines(connection, file.path)
            lines[name] = value(
                connection.execute("select app.import_parse_file(%s)", (name,)).fetchone()
            )

        opened = connection.execute(
            "select run_id, is_resumed, shift_seconds"
            " from app.import_open_run(%s, %s, %s, %s, coalesce(%s, 'infinity'::timestamptz))",
            (source, Jsonb(hashes), Jsonb(options), shift_to_now, last_instant),
        ).fetchone()
        assert opened is not None
        run_id, is_resumed, shift_seconds = opened

        done, total = 0, sum(lines.values())
        for file in files:
            name = file.path.name
            for first in range(1, lines[name] + 1, file.lines_per_chunk):
                last = min(first + file.lines_per_chunk - 1, lines[name])
                progress(f"storing {name}", done, total)
                connection.execute(
                    "select app.import_chunk(%s, %s, %s, %s)", (run_id, name, first, last)
                )
                done += last - first + 1
        connection.execute("select app.import_close_run(%s)", (run_id,))
        progress("stored", done, total)
        return report_of(
            connection,
            source,
            run_id=run_id,
            is_resumed=is_resumed,
            shift_seconds=shift_seconds,
            seconds=time.monotonic() - started,
        )


@contextmanager
def import_session(settings: Settings, source: str) -> Iterator[Connection]:
    """Open the one connection that may import this data set now; each statement commits."""
    with psycopg.connect(
        settings.postgres_url,
        autocommit=True,
        application_name=f"nova-import-{source}",
    ) as connection:
        # A chunk takes seconds where a request takes milliseconds.
        connection.execute("set statement_timeout = 0")
        connection.execute("set timezone = 'UTC'")
        connection.execute("set temp_buffers = '64MB'")
        connection.execute("set work_mem = '64MB'")
        # Killed, we must not go on working in the server: the next import waits for us.
        connection.execute("set client_connection_check_interval = '500ms'")
        try:
            connection.execute("select set_config('lock_timeout', %s, false)", (LOCK_WAIT,))
            connection.execute(f"select pg_advisory_lock({LOCK_KEY})", (source,))
            connection.execute("reset lock_timeout")
        except psycopg.errors.LockNotAvailable as exc:
            raise ImportRefusedError(f"another import of {source} is running") from exc
        try:
            yield connection
        except psycopg.Error as exc:
            if connection.broken:
                raise ImportInterruptedError(
                    "Postgres closed the connection; the same command goes on where it was"
                ) from exc
            if exc.sqlstate != REFUSED:
                raise
            hint = f". {exc.diag.message_hint}" if exc.diag.message_hint else ""
            raise ImportRefusedError(f"{exc.diag.message_primary}{hint}") from exc
        finally:
            # Closing would free it too, but only once the server has noticed.
            if not connection.broken:
                connection.execute(f"select pg_advisory_unlock({LOCK_KEY})", (source,))


def report_of(
    connection: Connection,
    source: str,
    *,
    run_id: int,
    is_resumed: bool,
    shift_seconds: int,
    seconds: float,
) -> ImportReport:
    """Read back what all chunks of a run did, also those stored before an interruption."""
    counts = connection.execute(
        "select entity, sum(read_rows)::bigint, sum(inserted_rows)::bigint"
        " from app.import_counts where run_id = %s group by entity order by entity",
        (run_id,),
    ).fetchall()
    malformed = connection.execute(
        "select file, line_number, column_name, reason from app.import_malformed_lines"
        " where run_id = %s order by file, line_number limit %s",
        (run_id, MALFORMED_SHOWN),
    ).fetchall()
    totals = connection.execute(
        "select"
        " (select count(*) from app.import_malformed_lines where run_id = %(run)s),"
        " (select coalesce(sum(held_out_rows), 0)::bigint"
        " from app.import_chunks where run_id = %(run)s)",
        {"run": run_id},
    ).fetchone()
    assert totals is not None
    return ImportReport(
        source=source,
        run_id=run_id,
        is_resumed=is_resumed,
        shift_seconds=shift_seconds,
        seconds=seconds,
        counts=tuple(EntityCount.of(*count) for count in counts),
        held_out_rows=totals[1],
        malformed_lines=totals[0],
        malformed=tuple(
            MalformedLine(file=f, line=n, column=c, reason=r) for f, n, c, r in malformed
        ),
    )


def value(row: tuple[object, ...] | None) -> int:
    """Return the number that a one-value query found."""
    assert row is not None
    assert isinstance(row[0], int)
    return row[0]
