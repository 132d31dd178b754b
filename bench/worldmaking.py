"""
Make a world: `./nova bench world --size L --seed 42`, in a running system that holds nothing.

What both databases hold (users, videos, counters, follows) is made once, in Postgres, and lands in
ClickHouse as everything does. What only ClickHouse holds (hours of plays, affinities, what was
watched) is made there from what has landed. All of it is SQL (`bench/sql/world`); this module says
when, and in which portions.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import clickhouse_connect
import psycopg
from clickhouse_connect.driver.client import Client
from msgspec import Struct
from psycopg import Connection
from psycopg.types.json import Jsonb
from rich.table import Table

from api.actionable import ActionableError
from api.cli.console import out, say
from api.importing.errors import ImportRefusedError
from api.importing.runner import import_session
from api.settings import Settings
from api.stack.ranking import refresh_ranking
from api.surfaces.rows import instant, statements_in
from api.workers.landing import land_until_settled
from bench.world import (
    CHARTED_SHARE,
    FIRST_VIEWER,
    FRESH_SHARE,
    OTHER_CREATORS_SHARE,
    OTHER_VIDEOS_SHARE,
    PLAYS_PER_WATCH,
    SOURCE,
    STRIDE,
    World,
    recorded,
)

FOLDER = Path(__file__).parent / "sql" / "world"
POSTGRES = statements_in(FOLDER / "postgres")
CLICKHOUSE = statements_in(FOLDER / "clickhouse")

# Portions, so that memory is bounded and each lands while the next one is made (count).
VIDEOS_AT_ONCE = 250_000
FOLLOWERS_AT_ONCE = 10_000
VIEWERS_AT_ONCE = 25_000

LAND_SECONDS = 1_800.0
STATEMENT_SECONDS = 600
REFRESH_SECONDS = 1_200.0
MERGE_SECONDS = 300.0


class WorldError(ActionableError):
    """The world is not as it should be; the message says in what."""


class StepTime(Struct):
    """How long one step took."""

    name: str
    seconds: float


class Held(Struct):
    """What one table of ClickHouse holds (rows; bytes on disk)."""

    table: str
    rows: int
    bytes: int


class WorldReport(Struct):
    """What making a world took, and what is there now."""

    size: str
    seed: int
    as_of: datetime
    was_there: bool
    seconds: float
    steps: list[StepTime]
    postgres_rows: dict[str, int]
    postgres_bytes: int
    clickhouse: list[Held]


class Making:
    """One world in the making: its stores, what statements are given, and how long each took."""

    def __init__(
        self, world: World, settings: Settings, connection: Connection, client: Client
    ) -> None:
        self.world = world
        self.settings = settings
        self.connection = connection
        self.client = client
        self.steps: list[StepTime] = []
        size = world.counts
        watches = size.viewers * size.watches_per_viewer
        self.postgres_parameters: dict[str, Any] = {
            "seed": world.seed,
            "as_of": world.as_of,
            "played_until": world.played_until,
            "videos": size.videos,
            "creators": size.creators,
            "viewers": size.viewers,
            "first_viewer_id": FIRST_VIEWER,
            "follows_per_viewer": size.follows_per_viewer,
            "plays": round(watches * PLAYS_PER_WATCH),
            "stride": STRIDE,
            "stride_inverse": pow(STRIDE, -1, size.videos),
        }
        self.clickhouse_parameters: dict[str, Any] = {
            "seed": world.seed,
            "as_of": instant(world.as_of),
            "played_until": world.played_until.strftime("%Y-%m-%d %H:%M:%S"),
            "videos": size.videos,
            "creators": size.creators,
            "follows_per_viewer": float(size.follows_per_viewer),
            "stride": STRIDE,
        }

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time a step, and tell when it is over."""
        began = time.monotonic()
        yield
        self.steps.append(StepTime(name, round(time.monotonic() - began, 1)))
        say(f"{name}: {self.steps[-1].seconds} s")

    def in_postgres(self, statement: str, portion: range | None = None) -> None:
        """Run a statement, one transaction of its own."""
        self.connection.execute(
            POSTGRES[statement].encode(), {**self.postgres_parameters, **bounds(portion)}
        )

    def in_clickhouse(self, statement: str, portion: range, **given: object) -> None:
        """Run a statement; what is made of the rows it inserts is made when it returns."""
        self.client.command(
            CLICKHOUSE[statement],
            parameters={**self.clickhouse_parameters, **bounds(portion), **given},
            settings={
                "async_insert": 0,
                "deduplicate_insert_select": "disable",
                "max_execution_time": STATEMENT_SECONDS,
            },
        )

    # ---------- the steps, in their order

    def make_entities(self) -> None:
        """Make what Postgres holds. A running landing worker lands it meanwhile."""
        size = self.world.counts
        with self.step("postgres: users"):
            self.in_postgres("insert_users")
        with self.step("postgres: videos"):
            for portion in portions(range(size.videos), VIDEOS_AT_ONCE):
                self.in_postgres("insert_videos", portion)
        with self.step("postgres: video counters"):
            for portion in portions(range(size.videos), VIDEOS_AT_ONCE):
                self.in_postgres("insert_video_engagement", portion)
        with self.step("postgres: follows"):
            for portion in portions(self.world.viewer_ids, FOLLOWERS_AT_ONCE):
                self.in_postgres("insert_follows", portion)
            self.in_postgres("insert_user_totals")
        with self.step("postgres: blocks, not interested"):
            self.in_postgres("insert_blocks")
            self.in_postgres("insert_not_interested")

    def make_signals(self) -> None:
        """Make what only ClickHouse holds, of what has landed."""
        size = self.world.counts
        with self.step("clickhouse: hours of plays"):
            for portion in portions(range(size.videos), VIDEOS_AT_ONCE):
                self.in_clickhouse("insert_video_ranking_signals_1h", portion)
        with self.step("clickhouse: affinities"):
            for portion in portions(self.world.viewer_ids, VIEWERS_AT_ONCE):
                self.in_clickhouse(
                    "insert_user_author_90d",
                    portion,
                    others_per_viewer=size.affinities_per_viewer * OTHER_CREATORS_SHARE,
                )
        with self.step("clickhouse: watched videos"):
            for portion in portions(self.world.viewer_ids, VIEWERS_AT_ONCE):
                self.in_clickhouse(
                    "insert_user_watch_history",
                    portion,
                    fresh_share=FRESH_SHARE,
                    charted_per_viewer=size.watches_per_viewer * CHARTED_SHARE,
                    others_per_viewer=size.watches_per_viewer * OTHER_VIDEOS_SHARE,
                )
        with self.step("clickhouse: facts of viewers"):
            for portion in portions(self.world.viewer_ids, VIEWERS_AT_ONCE):
                self.in_clickhouse("insert_viewer_facts", portion)

    def check(self) -> dict[str, int]:
        """Return the rows of every shared table; raises `WorldError` where the databases differ."""
        here = {name: (rows, sum_) for name, rows, sum_ in self.fingerprints_here()}
        there = {
            str(name): (int(rows), int(sum_))
            for name, rows, sum_ in self.client.query(CLICKHOUSE["fingerprints"]).result_rows
        }
        if different := sorted(name for name in here if here[name] != there[name]):
            raise WorldError(
                "Postgres and ClickHouse differ in "
                + "; ".join(f"{name}: {here[name]} and {there[name]}" for name in different)
            )
        return {name: rows for name, (rows, _) in here.items()}

    def fingerprints_here(self) -> list[tuple[str, int, int]]:
        """Return name, rows and checksum of every shared table of Postgres."""
        return [
            (str(name), int(rows), int(checksum or 0))
            for name, rows, checksum in self.connection.execute(POSTGRES["fingerprints"].encode())
        ]

    def wait_for_merges(self) -> None:
        """Wait until ClickHouse has put its parts together, as it would have in a real life."""
        deadline = time.monotonic() + MERGE_SECONDS
        while time.monotonic() < deadline:
            if not self.client.command("select count() from system.merges where database = 'raw'"):
                return
            time.sleep(0.5)


def make_world(settings: Settings, size: str, seed: int) -> WorldReport:
    """
    Make a world and return when everything that is made of it is there; made before, look at it.

    Raises `ImportRefusedError` when something else lives here, `WorldError` when the databases
    differ afterwards.
    """
    began = time.monotonic()
    world = World(size, seed, datetime.now(UTC).replace(microsecond=0))
    with (
        import_session(settings, SOURCE) as connection,
        clickhouse_connect.get_client(
            dsn=settings.clickhouse_url,
            send_receive_timeout=STATEMENT_SECONDS,
            autogenerate_session_id=False,
        ) as client,
    ):
        known = known_world(connection, size, seed)
        making = Making(known or world, settings, connection, client)
        if known is None:
            run_id = open_run(connection, world)
            with refreshes_paused(client), without_triggers(connection):
                making.make_entities()
                with making.step("landing"):
                    land_until_settled(settings, LAND_SECONDS)
                making.make_signals()
            connection.execute("select app.import_close_run(%s)", (run_id,))
            with making.step("merges"):
                making.wait_for_merges()
            with making.step("refresh"):
                refresh_ranking(settings.clickhouse_url, REFRESH_SECONDS)
        with making.step("check"):
            rows = making.check()
        return WorldReport(
            size=size,
            seed=seed,
            as_of=making.world.as_of,
            was_there=known is not None,
            seconds=round(time.monotonic() - began, 1),
            steps=making.steps,
            postgres_rows=rows,
            postgres_bytes=database_bytes(connection),
            clickhouse=[
                Held(str(table), int(rows), int(bytes_))
                for table, rows, bytes_ in client.query(CLICKHOUSE["count_rows"]).result_rows
            ],
        )


def known_world(connection: Connection, size: str, seed: int) -> World | None:
    """Return the same world if it was made before; raises when anything else is there."""
    known = recorded(connection)
    if known is not None:
        if (known.size, known.seed) == (size, seed):
            return known
        raise ImportRefusedError(
            f"world {known.size} of seed {known.seed} lives here; two cannot share their ids. "
            "Start anew with an empty data directory"
        )
    begun = connection.execute(
        "select started_at from app.import_runs where source = %s", (SOURCE,)
    ).fetchone()
    if begun is not None:
        raise ImportRefusedError(
            f"a world was begun here at {begun[0]:%Y-%m-%d %H:%M:%S} UTC and not finished. "
            "Start anew with an empty data directory"
        )
    row = connection.execute(POSTGRES["count_contents"].encode()).fetchone()
    assert row is not None
    held = dict(zip(("videos", "posts", "users"), row, strict=True))
    if any(held.values()):
        raise ImportRefusedError(
            "this system is not empty: it holds "
            + ", ".join(f"{count:,} {what}" for what, count in held.items() if count)
            + ". Start one with `./nova up --sample none --data-dir DIR`"
        )
    return None


def open_run(connection: Connection, world: World) -> int:
    """Record what is about to be made; returns the run."""
    connection.execute(
        "insert into app.import_clocks (source, is_shifted, shift_seconds, newest_at)"
        " values (%s, false, 0, %s)",
        (SOURCE, world.as_of),
    )
    row = connection.execute(
        "insert into app.import_runs (source, files, options, covers_until)"
        " values (%s, '{}', %s, %s) returning id",
        (SOURCE, Jsonb({"size": world.size, "seed": world.seed}), world.as_of),
    ).fetchone()
    assert row is not None
    return int(row[0])


@contextlib.contextmanager
def without_triggers(connection: Connection) -> Iterator[None]:
    """
    Write rows that are known to be right: no foreign keys looked up, no follower counted.

    Raises `WorldError` unless the user may do so, as the embedded server's may.
    """
    try:
        connection.execute("set session_replication_role = replica")
    except psycopg.errors.InsufficientPrivilege as exc:
        raise WorldError(
            "the Postgres user may not set session_replication_role, and a world is made with it"
        ) from exc
    try:
        yield
    finally:
        if not connection.broken:
            connection.execute("reset session_replication_role")


@contextlib.contextmanager
def refreshes_paused(client: Client) -> Iterator[None]:
    """Keep what ranks from being made again and again of half a world."""
    client.command("system stop views")
    try:
        yield
    finally:
        client.command("system start views")


def database_bytes(connection: Connection) -> int:
    """Return the size of the database on disk (bytes)."""
    row = connection.execute("select pg_database_size(current_database())").fetchone()
    assert row is not None
    return int(row[0])


def portions(ids: range, at_once: int) -> Iterator[range]:
    """Cut a range of ids."""
    for first in range(ids.start, ids.stop, at_once):
        yield range(first, min(first + at_once, ids.stop))


def bounds(portion: range | None) -> Mapping[str, int]:
    """Return a range of ids as the statements take it, the end left out."""
    return {} if portion is None else {"from_id": portion.start, "to_id": portion.stop}


def show_world(report: WorldReport) -> None:
    """Print what is there, and what it took."""
    told = "was there" if report.was_there else f"made in {report.seconds} s"
    out.print(f"world {report.size}, seed {report.seed}, as of {report.as_of:%H:%M:%S} UTC: {told}")
    table = Table("where", "table", "rows", "MB")
    for name, rows in report.postgres_rows.items():
        table.add_row("both", name, f"{rows:,}", "")
    table.add_row("Postgres", "in all", "", f"{report.postgres_bytes / 1e6:,.0f}")
    for held in report.clickhouse:
        table.add_row("ClickHouse", held.table, f"{held.rows:,}", f"{held.bytes / 1e6:,.0f}")
    out.print(table)
