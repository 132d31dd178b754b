"""
Landing: what is committed in Postgres is in ClickHouse a moment later, exactly once.

Per captured table and round: open a window of settled transactions, let ClickHouse fill it from
Postgres, close it. After a crash an open window is filled again before anything else. Python says
when, SQL moves the rows. docs/decisions tells why; clickhouse/README.md, what to do about errors.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Literal, Self, cast

import msgspec
import psycopg
import redis
import structlog
from clickhouse_connect.driver.exceptions import ClickHouseError
from msgspec import Struct
from structlog.typing import FilteringBoundLogger

from api.settings import Settings
from api.workers import LANDED_KEY, LANDED_ROWS_CHANNEL, LandedRows
from api.workers.capture import CapturedTable, CaptureSource, Outlook, Span
from api.workers.patience import retrying
from api.workers.stopping import told_to_stop
from api.workers.windows import LandingError, LandingStore, Window, landable_tables

LAG_KEY = "nova:landing"

# Looking costs one small query; a window costs parts in every table it fills. So there is a look
# this often, and `landing_interval_ms` from one round of windows to the next.
LOOK_SECONDS = 0.025
REPORT_SECONDS = 1.0
STANDBY_SECONDS = 1.0
FORGET_SECONDS = 3_600.0
KEEP_WINDOWS = timedelta(days=7)
SETTLE_SECONDS = 600.0

# What passes by itself: a store that restarts, is busy, or has not been migrated yet.
TRANSIENT = (psycopg.Error, ClickHouseError, OSError)

# What to do about a Postgres that these tables were not landed from. `refuse`: a person decides.
# `add`: it is one more source, with keys of its own; land all of it. `replace`: it has taken the
# place of the old one (restored, failed over); land entities anew, go on with streams.
NewSource = Literal["refuse", "add", "replace"]


def quiet_log() -> FilteringBoundLogger:
    """Return a log for commands: warnings on stderr, nothing of what goes well."""
    return cast(
        "FilteringBoundLogger",
        structlog.wrap_logger(
            structlog.PrintLogger(sys.stderr),
            processors=[structlog.processors.add_log_level, structlog.processors.LogfmtRenderer()],
            wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        ),
    )


class LandingTimeoutError(LandingError):
    """Postgres did not settle, or ClickHouse did not keep up, within the time given."""


class Lag(Struct):
    """How far one table is behind, as of `at` (UTC); rows since this worker started (count)."""

    lag_ms: int
    rows: int
    at: str


class Round(Struct):
    """What one round did: rows landed per table, and whether a table has more waiting."""

    is_active: bool
    rows: dict[str, int]
    has_more: bool = False


class Telling:
    """One connection to Redis; what it cannot be told now, it is told a second later."""

    def __init__(self, settings: Settings) -> None:
        timeout = settings.redis_timeout_ms / 1000
        self._client = redis.Redis.from_url(
            settings.redis_url, socket_timeout=timeout, socket_connect_timeout=timeout
        )
        self._landed_txid = -1
        self.untold: set[str] = set()  # tables
        self._told_at = 0.0
        self._failed_at = float("-inf")

    def landed(self, txid: int) -> None:
        """Tell up to which transaction all has landed, if that is news or a second has passed."""
        now = time.monotonic()
        if txid == self._landed_txid and now - self._told_at < REPORT_SECONDS:
            return
        # Written whatever was there: another Postgres may have smaller numbers.
        if self._tell(lambda: self._client.set(LANDED_KEY, txid)):
            self._landed_txid, self._told_at = txid, now

    def rows(self, txid: int, tables: Iterable[str]) -> None:
        """Tell in which tables rows have landed, so that what is made of them can be made anew."""
        self.untold.update(tables)
        if not self.untold:
            return
        word = msgspec.json.encode(LandedRows(txid, sorted(self.untold)))
        if self._tell(lambda: self._client.publish(LANDED_ROWS_CHANNEL, word)):
            self.untold.clear()

    def lags(self, lags: Mapping[str, Lag]) -> None:
        """Tell how far each table is behind."""
        self._tell(
            lambda: self._client.hset(
                LAG_KEY, mapping={name: msgspec.json.encode(lag) for name, lag in lags.items()}
            )
        )

    def close(self) -> None:
        """Hang up."""
        self._client.close()

    def _tell(self, work: Callable[[], object]) -> bool:
        if time.monotonic() - self._failed_at < REPORT_SECONDS:
            return False
        try:
            work()
        except redis.RedisError:
            self._failed_at = time.monotonic()
            return False
        return True


class Landing:
    """One landing worker. Any error of a store hangs up both; the next round starts afresh."""

    store_type: type[LandingStore] = LandingStore
    source_type: type[CaptureSource] = CaptureSource

    def __init__(
        self,
        settings: Settings,
        *,
        new_source: NewSource = "refuse",
        log: FilteringBoundLogger | None = None,
    ) -> None:
        self.settings = settings
        self.log = log or quiet_log()
        self.new_source = new_source
        self.capture: CaptureSource | None = None
        self.store: LandingStore | None = None
        self.is_active = False
        self.source = ""
        self.tables: list[CapturedTable] = []
        self.windows: dict[str, Window] = {}
        self.rows: Counter[str] = Counter()
        self.caught_up_at: dict[str, float] = {}
        self.marks: dict[str, tuple[float, int]] = {}
        self.landed_txid = 0
        self.told = Telling(settings)
        self.reported_at = 0.0
        self.forgot_at = time.monotonic()

    def __enter__(self) -> Self:
        """Connect lazily: the first round does."""
        return self

    def __exit__(self, *_: object) -> None:
        """Hang up."""
        self.disconnect()
        self.told.close()

    # ---------- connections and the lock

    def connect(self) -> tuple[CaptureSource, LandingStore]:
        """Return both stores, connecting to what is missing."""
        if self.capture is None:
            self.capture = self.source_type(self.settings.postgres_url)
        if self.store is None:
            self.store = self.store_type(self.settings.clickhouse_url)
            self.store.use_postgres(
                self.settings.clickhouse_postgres_url or self.settings.postgres_url
            )
        return self.capture, self.store

    def disconnect(self) -> None:
        """Hang up, which gives the lock back."""
        self.is_active = False
        for peer in (self.capture, self.store):
            if peer is not None:
                with contextlib.suppress(*TRANSIENT):
                    peer.close()
        self.capture = self.store = None

    def activate(self, capture: CaptureSource, store: LandingStore) -> bool:
        """Take the lock and read where the last worker stopped; False while another works."""
        if not capture.lock():
            return False
        self.tables = capture.captured_tables()
        if unknown := {table.name for table in self.tables} - landable_tables():
            raise LandingError(
                f"Postgres captures {', '.join(sorted(unknown))}, and clickhouse/transports/pull "
                "has no land_<table>.sql for it"
            )
        self.source = capture.identity()
        self.windows = self.known_windows(capture, store)
        self.is_active = True
        # Who landed before may have died without a word.
        self.told.untold.update(table.name for table in self.tables)
        now = time.monotonic()
        self.caught_up_at = {table.name: now for table in self.tables}
        self.marks = {}
        self.log.info(
            "landing begins", source=self.source, tables=[table.name for table in self.tables]
        )
        return True

    def known_windows(self, capture: CaptureSource, store: LandingStore) -> dict[str, Window]:
        """Return the last window per table; refuses a Postgres these are not from."""
        latest = store.latest_windows()
        mine = {window.source_table: window for window in latest if window.source == self.source}
        others = {window.source_table: window for window in latest if window.source != self.source}
        streams = {table.name for table in self.tables if table.kind == "stream"}
        is_new = bool(others) and (not mine or bool(streams & others.keys() - mine.keys()))
        next_txid = capture.horizon().next_txid
        if is_new and self.new_source == "refuse":
            known = sorted({window.source for window in others.values()})
            raise LandingError(
                f"raw.* was landed from Postgres {', '.join(known)} (system/timeline/database); "
                f"this is {self.source}: restored, failed over, or another server. See 'Another "
                "Postgres' in clickhouse/README.md before running "
                "`python -m api.workers.landing --adopt`"
            )
        if is_new and self.new_source == "replace":
            return self.replace_source(capture, store, others)
        if ahead := sorted(name for name, last in mine.items() if last.to_txid >= next_txid):
            raise LandingError(
                f"{', '.join(ahead)} landed up to transaction "
                f"{max(mine[name].to_txid for name in ahead)}, but the next transaction of "
                f"Postgres {self.source} is {next_txid}: it was put back to an older state. See "
                "'Another Postgres' in clickhouse/README.md"
            )
        return mine

    def replace_source(
        self, capture: CaptureSource, store: LandingStore, others: dict[str, Window]
    ) -> dict[str, Window]:
        """
        Go on with a Postgres that took the place of another one.

        A stream goes on behind what was landed, or at the horizon if Postgres went back before it.
        Entities begin anew: their versions may have gone back, and would lose against old ones.
        """
        horizon = capture.horizon()
        for table in self.tables:
            if table.kind == "entity":
                store.empty(table.name)
        windows = {}
        for table in self.tables:
            if table.kind == "stream" and table.name in others:
                to_txid = min(others[table.name].to_txid, horizon.horizon_txid - 1)
                begun = store.open_window(table.name, self.source, Span(0, to_txid, 0))
                store.close_window(begun)
                windows[table.name] = msgspec.structs.replace(begun, is_done=True)
        self.log.warning("another Postgres adopted", source=self.source)
        return windows

    # ---------- rounds

    def run_once(self) -> Round:
        """Land at most one window of every table; quick when there is nothing."""
        try:
            capture, store = self.connect()
            if not self.is_active and not self.activate(capture, store):
                return Round(is_active=False, rows={})
            began_at = time.monotonic()
            before = outlook = capture.outlook(self.cursors())
            landed = Round(is_active=True, rows={})
            failure: ClickHouseError | None = None
            for table in self.tables:
                if not (self.is_open(table) or before.has_newer(table.name, before.horizon_txid)):
                    continue
                try:
                    rows = self.land(table, capture, store)
                except ClickHouseError as exc:  # one bad row must not keep the other tables waiting
                    exc.add_note(f"while landing {table.name}")
                    failure, rows = failure or exc, 0
                if rows:
                    landed.rows[table.name] = rows
                if rows >= self.settings.landing_window_rows:
                    landed.has_more = True
            if landed.rows:
                outlook = capture.outlook(self.cursors())
            self.landed_txid = outlook.landed_txid(self.cursors())
            self.note_lag(outlook, before.next_txid, began_at)
            self.report(capture)
            # After how far it is: whoever hears it looks there.
            self.told.rows(self.landed_txid, landed.rows)
            if failure:
                raise failure
            self.forget(store)
        except TRANSIENT:
            self.disconnect()
            raise
        return landed

    def land(self, table: CapturedTable, capture: CaptureSource, store: LandingStore) -> int:
        """Land the next window of a table, or the one a crash left open; returns its rows."""
        window = self.windows.get(table.name)
        is_repeat = window is not None and not window.is_done
        if window is None or window.is_done:
            after = window.to_txid if window else 0
            span = capture.next_span(table.name, after, self.settings.landing_window_rows)
            if span is None:  # what was ahead has changed again, and is not settled now
                return 0
            window = store.open_window(table.name, self.source, span)
        if not window.is_done:
            began_at = time.monotonic()
            store.fill(table, window)
            if is_repeat and table.kind == "stream":
                store.repair(table, window)
            capture.horizon()  # raises if the connection, and so the lock, is gone
            store.close_window(window)
            self.log.info(
                "window landed",
                table=table.name,
                from_txid=window.from_txid,
                to_txid=window.to_txid,
                rows=window.expected_rows,
                is_repeat=is_repeat,
                milliseconds=round((time.monotonic() - began_at) * 1000),
            )
        self.windows[table.name] = msgspec.structs.replace(window, is_done=True)
        self.rows[table.name] += window.expected_rows
        return window.expected_rows

    def is_open(self, table: CapturedTable) -> bool:
        """Say whether a crash left a window of a table open."""
        window = self.windows.get(table.name)
        return window is not None and not window.is_done

    def cursors(self) -> dict[str, int]:
        """Return the last transaction of every table that has landed for certain."""
        cursors = {}
        for table in self.tables:
            window = self.windows.get(table.name)
            if window is None:
                cursors[table.name] = 0
            else:
                cursors[table.name] = window.to_txid if window.is_done else window.from_txid
        return cursors

    # ---------- telling

    def note_lag(self, outlook: Outlook, next_txid: int, began_at: float) -> None:
        """
        Note the latest moment up to which everything committed has landed.

        Rows a running transaction holds back count as lag too: they are committed and not visible.
        `next_txid` is the number no transaction had when the round began.
        """
        for table in self.tables:
            name = table.name
            if not outlook.has_newer(name, next_txid):
                self.caught_up_at[name] = began_at
                self.marks.pop(name, None)
                continue
            at, mark_txid = self.marks.setdefault(name, (began_at, next_txid))
            if not outlook.has_newer(name, mark_txid):
                self.caught_up_at[name] = at
                self.marks[name] = (began_at, next_txid)

    def lags(self) -> dict[str, Lag]:
        """Return how far each table is behind."""
        now, at = time.monotonic(), datetime.now(UTC).isoformat(timespec="milliseconds")
        return {
            name: Lag(lag_ms=round((now - caught_up_at) * 1000), rows=self.rows[name], at=at)
            for name, caught_up_at in self.caught_up_at.items()
        }

    def report(self, capture: CaptureSource) -> None:
        """
        Tell Redis how far everything has landed, at once when it moved, and once a second the lags.

        Landing waits for it no longer than a timeout a second.
        """
        self.told.landed(self.landed_txid)
        if time.monotonic() - self.reported_at < REPORT_SECONDS:
            return
        self.reported_at = time.monotonic()
        lags = self.lags()
        if any(lag.lag_ms > 10_000 for lag in lags.values()):
            self.log.warning(
                "landing is behind",
                lag_ms={name: lag.lag_ms for name, lag in lags.items() if lag.lag_ms > 10_000},
                oldest_writer_ms=capture.horizon().oldest_writer_ms,
            )
        self.told.lags(lags)

    def forget(self, store: LandingStore) -> None:
        """Once an hour, drop the history of windows a week back."""
        if time.monotonic() - self.forgot_at < FORGET_SECONDS:
            return
        self.forgot_at = time.monotonic()
        for window in self.windows.values():
            store.forget_windows(window, datetime.now(UTC) - KEEP_WINDOWS)

    # ---------- waiting for the end

    def is_settled(self, before: int) -> bool:
        """Say whether everything committed with a smaller transaction number has landed."""
        capture, store = self.connect()
        if not self.is_active:  # another worker lands; look at how far it is
            self.source = capture.identity()
            self.tables = capture.captured_tables()
            self.windows = {
                window.source_table: window
                for window in store.latest_windows()
                if window.source == self.source
            }
        outlook = capture.outlook(self.cursors())
        return not any(outlook.has_newer(table.name, before) for table in self.tables)


def run_once(settings: Settings, *, new_source: NewSource = "refuse") -> Round:
    """Land one window of every table, in a connection of its own."""
    with Landing(settings, new_source=new_source) as landing:
        return landing.run_once()


def land_until_settled(
    settings: Settings,
    timeout_seconds: float = SETTLE_SECONDS,
    *,
    new_source: NewSource = "refuse",
    landing_type: type[Landing] = Landing,
) -> dict[str, int]:
    """
    Return when everything committed before the call is in ClickHouse.

    Works beside a running worker too: then it waits for that one. Returns the rows landed here.
    Raises `LandingTimeoutError` when time is up; a transaction left open somewhere is the usual
    cause.
    """
    deadline = time.monotonic() + timeout_seconds
    stop = Event()
    with landing_type(settings, new_source=new_source) as landing:

        def begin() -> int:
            capture, _ = landing.connect()
            return capture.horizon().next_txid

        def step() -> tuple[bool, bool]:
            landed = landing.run_once()
            return landing.is_settled(before), landed.has_more

        before = retrying(stop, landing.log, TRANSIENT, patient=False)(begin)
        while True:
            if time.monotonic() > deadline:
                raise LandingTimeoutError(
                    f"not everything landed within {timeout_seconds:g} s; the oldest writing "
                    f"transaction runs for {oldest_writer_ms(landing)} ms"
                )
            is_settled, has_more = retrying(stop, landing.log, TRANSIENT, patient=False)(step)
            if is_settled:
                return dict(landing.rows)
            if not has_more:
                stop.wait(settings.landing_interval_ms / 1000)


def oldest_writer_ms(landing: Landing) -> int:
    """Return the age of the oldest writing transaction (milliseconds), -1 when unknown."""
    try:
        capture, _ = landing.connect()
        return capture.horizon().oldest_writer_ms
    except TRANSIENT:
        return -1


def work(landing: Landing, stop: Event) -> None:
    """Land until `stop` is set. The window at hand is finished first."""
    patience = retrying(stop, landing.log, TRANSIENT)
    interval = landing.settings.landing_interval_ms / 1000
    was_active = True
    while not stop.is_set():
        began_at = time.monotonic()
        try:
            landed = patience(landing.run_once)
        except TRANSIENT:
            if stop.is_set():
                return
            raise
        if was_active and not landed.is_active:
            landing.log.info("another landing worker holds the lock, standing by")
        was_active = landed.is_active
        if not landed.is_active:
            stop.wait(STANDBY_SECONDS)
        elif not landed.has_more:
            pause = interval if landed.rows else min(interval, LOOK_SECONDS)
            took = time.monotonic() - began_at
            # A round that takes long means a busy machine: fewer, larger windows cost it less.
            stop.wait(max(pause - took, min(took, pause)))


def main(arguments: Sequence[str] | None = None, landing_type: type[Landing] = Landing) -> int:
    """Run the worker until SIGTERM or SIGINT; 1 when a person has to decide something."""
    parser = argparse.ArgumentParser(prog="python -m api.workers.landing", description=__doc__)
    parser.add_argument(
        "--adopt",
        action="store_true",
        help="go on with a Postgres that took the place of the one landed so far",
    )
    options = parser.parse_args(arguments)
    # The service's log format; commands that only call land_until_settled need no web framework.
    from api.logging import configure_logging

    settings = Settings.from_environ()
    configure_logging(settings)
    log: FilteringBoundLogger = structlog.get_logger("nova.landing")
    if settings.cdc != "pull":
        log.error("NOVA_CDC is not pull: Kafka Connect lands, this worker has nothing to do")
        return 1

    stop = told_to_stop()
    try:
        new_source: NewSource = "replace" if options.adopt else "refuse"
        with landing_type(settings, new_source=new_source, log=log) as landing:
            work(landing, stop)
    except LandingError as exc:
        log.error("landing stopped", reason=str(exc))
        return 1
    log.info("landing ended")
    return 0


if __name__ == "__main__":
    sys.exit(main())
