"""What the landing worker asks Postgres: who works, what is new, where a window may end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, cast

import psycopg
from msgspec import Struct
from psycopg import sql
from psycopg.rows import tuple_row

# Any number, the same for every landing worker: two per database would be harmless, but useless.
ADVISORY_LOCK = 0x6E6F7661_6C616E64  # "novaland"

CONNECT_SECONDS = 5
# Counting the rows of one window reads an index range; a transaction of millions takes seconds.
STATEMENT_MS = 30_000

IDENTITY = """
select
    system.system_identifier::text as system_identifier,
    ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int as timeline,
    current_database() as database
from pg_control_system() as system
"""

CAPTURED_TABLES = "select table_name, kind from app.captured_tables order by table_name"

# The horizon: everything below is settled. `next` is the number no transaction has had yet.
HORIZON = """
select
    pg_snapshot_xmin(pg_current_snapshot())::text::bigint as horizon_txid,
    pg_snapshot_xmax(pg_current_snapshot())::text::bigint as next_txid,
    coalesce(
        (
            select (extract(epoch from clock_timestamp() - min(xact_start)) * 1000)::bigint
            from pg_stat_activity
            where backend_xid is not null
        ),
        0
    ) as oldest_writer_ms
"""

# Everything one round has to know, of one moment: how far Postgres has settled, and per table the
# first transaction after its cursor, settled or not. `order by … limit 1` is one step in an index;
# `exists` tempts the planner to read the table.
OUTLOOK = """
select
    pg_snapshot_xmin(pg_current_snapshot())::text::bigint as horizon_txid,
    pg_snapshot_xmax(pg_current_snapshot())::text::bigint as next_txid,
    {first_txids}
"""

FIRST_TXID = "(select _txid from app.{table} where _txid > {after} order by _txid limit 1)"

# The window ends with the transaction of the row that fills it, and takes that transaction whole.
NEXT_WINDOW = """
with last_row as (
    select max(rows_ahead._txid) as to_txid
    from (
        select _txid
        from app.{view}
        where _txid > %(after)s
        order by _txid
        limit %(rows)s
    ) as rows_ahead
)

select
    last_row.to_txid,
    count(*) as expected_rows
from last_row
inner join app.{view} as landing on landing._txid > %(after)s and landing._txid <= last_row.to_txid
group by last_row.to_txid
"""


class CapturedTable(Struct, frozen=True):
    """A table change capture copies: a stream only grows, an entity's rows change."""

    name: str
    kind: Literal["stream", "entity"]


class Horizon(Struct, frozen=True):
    """How far Postgres has settled, and how long its oldest writing transaction runs (ms)."""

    horizon_txid: int
    next_txid: int
    oldest_writer_ms: int


class Outlook(Struct, frozen=True):
    """
    One moment of Postgres: how far it has settled, and what of each table lies ahead of a cursor.

    `first_txids` has the first committed transaction after a table's cursor, None without one.
    """

    horizon_txid: int
    next_txid: int
    first_txids: Mapping[str, int | None]

    def has_newer(self, table: str, before: int) -> bool:
        """Say whether committed rows lie after the table's cursor and before a transaction."""
        first = self.first_txids[table]
        return first is not None and first < before

    def landed_txid(self, cursors: Mapping[str, int]) -> int:
        """
        Return the transaction up to which every row of every table is behind its cursor.

        Below the horizon nothing can appear any more, so a table without rows between its cursor
        and the horizon is through up to there; any other one is only where its cursor is.
        """
        return min(
            (
                cursor if self.has_newer(table, self.horizon_txid) else self.horizon_txid - 1
                for table, cursor in cursors.items()
            ),
            default=0,
        )


class Span(Struct, frozen=True):
    """A range of transactions that ends at a transaction's border, and the rows in it."""

    from_txid: int
    to_txid: int
    expected_rows: int


class CaptureSource:
    """
    One connection to Postgres: it asks every question, and it carries the lock.

    So a worker that lost its lock cannot plan a window: the connection that would answer is gone.
    """

    def __init__(self, url: str, application_name: str = "nova landing") -> None:
        self.connection = psycopg.connect(
            url,
            autocommit=True,
            connect_timeout=CONNECT_SECONDS,
            application_name=application_name,
            options=f"-c statement_timeout={STATEMENT_MS}",
            # A peer that vanished is noticed in seconds, not in hours.
            keepalives_idle=5,
            keepalives_interval=2,
            keepalives_count=3,
            tcp_user_timeout=15_000,
            row_factory=tuple_row,
        )

    def close(self) -> None:
        """Give the lock back."""
        self.connection.close()

    def lock(self) -> bool:
        """Become the one landing worker of this database, or say False."""
        return bool(self.value("select pg_try_advisory_lock(%(key)s)", {"key": ADVISORY_LOCK}))

    def identity(self) -> str:
        """Return `system identifier/timeline/database`; a restore or another server changes it."""
        return "/".join(str(part) for part in self.row(IDENTITY))

    def captured_tables(self) -> list[CapturedTable]:
        """Return what Postgres says it captures."""
        rows = self.connection.execute(CAPTURED_TABLES).fetchall()
        return [CapturedTable(name=name, kind=kind) for name, kind in rows]

    def horizon(self) -> Horizon:
        """Return the settled horizon of this moment."""
        return Horizon(*self.row(HORIZON))

    def outlook(self, cursors: Mapping[str, int]) -> Outlook:
        """Return what lies ahead of the cursors (the last landed transaction per table)."""
        question = sql.SQL(OUTLOOK).format(
            first_txids=sql.SQL(", ").join(
                sql.SQL(FIRST_TXID).format(
                    table=sql.Identifier(table), after=sql.Placeholder(table)
                )
                for table in cursors
            )
        )
        horizon_txid, next_txid, *firsts = self.row(question, dict(cursors))
        return Outlook(horizon_txid, next_txid, dict(zip(cursors, firsts, strict=True)))

    def next_span(self, table: str, after: int, rows: int) -> Span | None:
        """Return the next settled transactions, about `rows` rows of them, or None."""
        question = sql.SQL(NEXT_WINDOW).format(view=sql.Identifier(f"settled_{table}"))
        found = self.connection.execute(question, {"after": after, "rows": rows}).fetchone()
        return Span(after, found[0], found[1]) if found else None

    def row(self, question: Any, parameters: dict[str, Any] | None = None) -> tuple[Any, ...]:
        """Return the only row of an answer."""
        return cast("tuple[Any, ...]", self.connection.execute(question, parameters).fetchone())

    def value(self, question: Any, parameters: dict[str, Any] | None = None) -> Any:
        """Return the only value of an answer."""
        return self.row(question, parameters)[0]
