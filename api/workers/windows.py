"""What the landing worker tells ClickHouse: open a window, fill it from Postgres, close it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import clickhouse_connect
from clickhouse_connect.driver.binding import quote_identifier
from clickhouse_connect.driver.exceptions import ClickHouseError, OperationalError
from msgspec import Struct

from api.actionable import ActionableError
from api.workers.capture import CapturedTable, Span

STATEMENTS = Path(__file__).parents[2] / "clickhouse" / "transports" / "pull"

CONNECT_SECONDS = 5
STATEMENT_SECONDS = 30
# One window: some 200,000 rows a second; a bulk transaction of millions still fits.
FILL_SECONDS = 600

# Written into each window, because a repeat must cut the same blocks, whatever this says by then.
BLOCK_ROWS = 262_144

# Small inserts must not wait for, or be merged by, the flush timer of asynchronous inserts.
SYNCHRONOUS: Mapping[str, Any] = {"async_insert": 0}

# An immutable stream: the same blocks in the same order each time, each counted once, here and in
# every rollup. `force_enable` makes the engine refuse rather than quietly not deduplicate.
STREAM: Mapping[str, Any] = {
    **SYNCHRONOUS,
    "deduplicate_insert": "enable",
    "deduplicate_insert_select": "force_enable",
    "deduplicate_blocks_in_dependent_materialized_views": 1,
    "max_threads": 1,
    "max_insert_threads": 1,
    "min_insert_block_size_bytes": 0,
}

# What a recount after a crash adds is computed anew each time: nothing to recognise.
UNTOKENED: Mapping[str, Any] = {**SYNCHRONOUS, "deduplicate_insert_select": "disable"}

# A row that changed between two attempts has left the window and shifts the blocks; a skipped
# block would take its neighbours with it. Entities land at least once, told apart by _version.
ENTITY = UNTOKENED

# Per stream: how to heal its table, then how to heal each rollup that counts it.
REPAIRS: Mapping[str, Sequence[str]] = {
    "events": (
        "repair_events",
        "repair_video_ranking_signals_1h",
        "repair_post_metrics_1h",
        "repair_post_actors_1m",
        "repair_user_author_90d",
        "repair_user_watch_history",
        "repair_viewer_facts",
    ),
}

# The lists of raw.viewer_facts that repeat an entity: its versions are in them too.
RELATIONS: Mapping[str, Sequence[str]] = {
    "follows": ("followee",),
    "blocks": ("blocked", "blocked_by"),
    "not_interested": ("not_interested",),
}

# Tables that insert views write from an entity, with its versions.
DOCUMENTS: Mapping[str, Sequence[str]] = {"videos": ("video_documents",)}

# Events expire after 30 days, at a moment of the engine's choosing; a recount keeps its distance.
RECOUNT_REACH = timedelta(days=29)


# Answers of a server that is there but busy or going away; every other answer is a refusal.
PASSING_CODES = frozenset({159, 202, 210, 236, 242, 394, 999})


class LandingError(ActionableError):
    """Landing cannot go on by itself; the message says what a person has to decide."""


class Window(Struct, frozen=True):
    """Transactions after `from_txid` up to `to_txid`, on their way or landed."""

    source_table: str
    source: str
    from_txid: int
    to_txid: int
    is_done: bool
    expected_rows: int
    block_rows: int

    @property
    def token(self) -> str:
        """Name of this window's rows for deduplication."""
        return f"{self.source_table}:{self.source}:{self.from_txid}:{self.to_txid}"


@cache
def statement(name: str) -> str:
    """Return one statement of the pull transport."""
    return (STATEMENTS / f"{name}.sql").read_text()


def landable_tables() -> frozenset[str]:
    """Return the tables that have a landing statement."""
    return frozenset(path.stem.removeprefix("land_") for path in STATEMENTS.glob("land_*.sql"))


def seconds(moment: datetime) -> str:
    """Write a moment (UTC) as a parameter, whatever time zone the server thinks in."""
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def literal(value: str) -> str:
    """Quote a string where ClickHouse takes no parameter."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


class LandingStore:
    """The ClickHouse side of one landing worker."""

    def __init__(self, url: str) -> None:
        self.client = clickhouse_connect.get_client(
            dsn=url,
            autogenerate_session_id=False,
            connect_timeout=CONNECT_SECONDS,
            send_receive_timeout=STATEMENT_SECONDS,
            query_retries=0,
        )
        self.filler = clickhouse_connect.get_client(
            dsn=url,
            autogenerate_session_id=False,
            connect_timeout=CONNECT_SECONDS,
            send_receive_timeout=FILL_SECONDS,
            query_retries=0,
        )
        self.collection = ""

    def close(self) -> None:
        """Hang up."""
        self.client.close()
        self.filler.close()

    def use_postgres(self, url: str) -> None:
        """
        Tell ClickHouse how to reach Postgres, once, in a named collection.

        ClickHouse hides the values of a collection in its logs, and our statements carry only its
        name, so the password is in no query text.
        """
        address = urlsplit(url)
        values = {
            "host": address.hostname or "127.0.0.1",
            "port": str(address.port or 5432),
            "database": unquote(address.path.removeprefix("/")),
            "user": unquote(address.username or "postgres"),
            "password": unquote(address.password or ""),
        }
        place = "|".join(values[key] for key in ("host", "port", "database", "user"))
        name = f"nova_postgres_{sha256(place.encode()).hexdigest()[:12]}"
        pairs = ", ".join(f"{key} = {literal(value)}" for key, value in values.items())
        try:
            self.client.command(f"create named collection if not exists {name} as {pairs}")
            self.client.command(f"alter named collection {name} set {pairs}")
        except ClickHouseError as exc:
            # The server's message may quote the statement, and with it the password.
            code = getattr(exc, "code", None)
            if code is None or code in PASSING_CODES:
                raise OperationalError(f"named collection {name} not made ({code})") from None
            raise LandingError(
                f"ClickHouse refused the named collection {name} (code {code}): "
                "the landing user needs the grants in clickhouse/access/landing_writer.sql"
            ) from None
        self.collection = name

    def latest_windows(self) -> list[Window]:
        """Return the last window of every table and source."""
        return self.windows("latest_windows")

    def open_window(self, table: str, source: str, span: Span) -> Window:
        """Open a window, or return the one that was opened at the same place before."""
        mine = Window(
            source_table=table,
            source=source,
            from_txid=span.from_txid,
            to_txid=span.to_txid,
            is_done=False,
            expected_rows=span.expected_rows,
            block_rows=BLOCK_ROWS,
        )
        self.record(mine, f"open:{table}:{source}:{span.from_txid}")
        found = self.windows(
            "read_window", source_table=table, source=source, from_txid=span.from_txid
        )
        if not found:
            raise LandingError(
                f"the window of {table} after transaction {span.from_txid} was deleted from "
                "raw.landing_windows; truncate that table and raw.* to land everything again"
            )
        return found[0]

    def fill(self, table: CapturedTable, window: Window) -> None:
        """Land the rows of a window, database to database."""
        settings: dict[str, Any] = {
            **(STREAM if table.kind == "stream" else ENTITY),
            "max_block_size": window.block_rows,
            "min_insert_block_size_rows": window.block_rows,
            "max_execution_time": FILL_SECONDS,
        }
        if table.kind == "stream":
            settings["insert_deduplication_token"] = self.fill_token(window)
            # A fill whose worker died may still be running: the server refuses a second query of
            # one name, so no repeat (and no recount after it) overlaps with it.
            settings["query_id"] = f"landing:{window.token}"
        self.filler.command(
            statement(f"land_{table.name}"),
            parameters={
                "collection": self.collection,
                "from_txid": window.from_txid,
                "to_txid": window.to_txid,
            },
            settings=settings,
        )

    def fill_token(self, window: Window) -> str:
        """Return the token of a stream's rows; the same window always has the same."""
        return window.token

    def repair(self, table: CapturedTable, window: Window) -> None:
        """
        Complete a window that a crash interrupted, where its repeat was told "known already".

        The engine notes a block in its deduplication log before the block is in place. A kill
        between the two leaves a block known and missing, in the table or in a rollup. Seldom, so
        a repeat recounts the days its window touches and adds what lacks; usually nothing.
        """
        heal_events, *heal_rollups = REPAIRS[table.name]
        today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        reach = today - RECOUNT_REACH
        bounds = {"from_txid": window.from_txid, "to_txid": window.to_txid}
        self.heal(
            heal_events,
            window,
            {**bounds, "since": seconds(reach), "collection": self.collection},
        )
        first = self.client.query(statement("window_days"), parameters=bounds).result_rows[0][0]
        since = max(reach, first.replace(tzinfo=UTC))
        for name in heal_rollups:
            self.heal(name, window, {**bounds, "since": seconds(since)})

    def heal(self, name: str, window: Window, parameters: dict[str, Any]) -> None:
        """Run one statement that adds what is missing; never two of one window at a time."""
        self.filler.command(
            statement(name),
            parameters=parameters,
            settings={
                **UNTOKENED,
                "max_execution_time": FILL_SECONDS,
                "query_id": f"landing:heal:{window.token}",
            },
        )

    def close_window(self, window: Window) -> None:
        """Record that every row of a window is stored."""
        self.record(window, f"done:{window.token}", is_done=True)

    def record(self, window: Window, token: str, *, is_done: bool = False) -> None:
        """Write one line about a window; a line with a known token is dropped."""
        self.client.command(
            statement("record_window"),
            parameters={
                "source_table": window.source_table,
                "source": window.source,
                "from_txid": window.from_txid,
                "to_txid": window.to_txid,
                "is_done": int(is_done),
                "expected_rows": window.expected_rows,
                "block_rows": window.block_rows,
            },
            settings={**STREAM, "insert_deduplication_token": token},
        )

    def forget_windows(self, window: Window, recorded_before: datetime) -> None:
        """Drop the history of a table before its last window."""
        self.client.command(
            statement("forget_windows"),
            parameters={
                "source_table": window.source_table,
                "source": window.source,
                "cursor_txid": window.to_txid,
                "recorded_before": seconds(recorded_before),
            },
        )

    def empty(self, table: str) -> None:
        """Remove every row of an entity table, and of the lists that repeat it, to land it anew."""
        for emptied in (table, *DOCUMENTS.get(table, ())):
            self.client.command(f"truncate table raw.{quote_identifier(emptied)}")
        if lists := RELATIONS.get(table):
            # Rewrites the parts it finds rows in: as long as a window may take.
            self.filler.command(
                statement("forget_relations"),
                parameters={"lists": list(lists)},
                settings={"max_execution_time": FILL_SECONDS},
            )

    def windows(self, name: str, **parameters: Any) -> list[Window]:
        """Return the windows a statement selects."""
        rows = self.client.query(statement(name), parameters=parameters).result_rows
        return [
            Window(
                source_table=table,
                source=source,
                from_txid=from_txid,
                to_txid=to_txid,
                is_done=bool(is_done),
                expected_rows=expected_rows,
                block_rows=block_rows,
            )
            for table, source, from_txid, to_txid, is_done, expected_rows, block_rows in rows
        ]
