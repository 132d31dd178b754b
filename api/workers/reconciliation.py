"""
Reconciliation: live counters in Redis are what Postgres says, or are so again within seconds.

A write tells Redis its counters after the commit, and that message can be lost. So what changed in
Postgres is compared with Redis a moment later: in the order of change capture, from a cursor. A
slow walk through all of Redis finds what no change in Postgres points at: counters of a Postgres
that was put back to an older state. Whatever is older than Postgres is replaced, whatever is newer
than Postgres is dropped, and both are reported. docs/decisions/0025 tells why.

Nothing here needs a lock or an orderly end: comparing twice is comparing once.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from threading import Event
from typing import Any, NamedTuple, Self, cast

import msgspec
import psycopg
import redis
import structlog
from msgspec import Struct
from psycopg.rows import tuple_row
from redis.backoff import NoBackoff
from redis.retry import Retry
from structlog.typing import FilteringBoundLogger

from api.counters.counts import (
    PREFIX,
    ItemCounts,
    ItemType,
    item_of,
    keep_calls,
    kept_seconds,
    key_of,
    version_of,
)
from api.counters.statements import LUA, SQL
from api.settings import Settings
from api.workers.capture import CaptureSource
from api.workers.patience import retrying

REPORT_KEY = "nova:reconciliation"
# Beside the counters on purpose: a Redis put back to an older state brings its old cursors along.
CURSORS_KEY = "nova:reconciliation:cursors"

EVERY_SECONDS = 0.5
# From its commit a write has this long to tell Redis; only then it is missed.
GRACE_SECONDS = 1.0
CHANGES_AT_ONCE = 1_000  # rows of one round and item type (count)
# A walk through a million counters takes some 15 minutes, and no measurable part of a core.
WALK_AT_ONCE = 500  # keys of one round (count)
WALK_EVERY_SECONDS = 60.0  # from the end of a walk to the next
LONGEST_PAUSE_SECONDS = 3.0
REDIS_SECONDS = 2.0  # nobody waits for this worker
EXAMPLES = 5  # items named in the log (count)

LAST_ITEM = 2**63 - 1  # of a transaction: no id is larger

# What passes by itself: a store that restarts, is busy, or has not been migrated yet.
TRANSIENT = (psycopg.Error, redis.RedisError, OSError)

CHANGED: Mapping[ItemType, str] = {"video": SQL["changed_videos"], "post": SQL["changed_posts"]}


class Cursor(Struct, frozen=True):
    """
    How far the changes of one table have been compared: up to an item of a transaction.

    `settled_ms` is a time (milliseconds since 1970) by which all of that was committed, and after
    which what follows was.
    """

    source: str
    txid: int
    item_id: int
    settled_ms: int


class Mark(NamedTuple):
    """A horizon, every transaction below which had ended at a time (milliseconds since 1970)."""

    txid: int
    at_ms: int


class Row(NamedTuple):
    """Counters in Postgres, and the transaction that wrote them."""

    counts: ItemCounts
    txid: int


class Report(Struct):
    """
    What was found about the items of one type since this worker began (items).

    `drifted` were older in Redis than in Postgres, `repaired` of them by us and the others by a
    later write; `ahead` were newer and dropped. `oldest_drift_ms` is how long the oldest drift of
    the last round that found any had lasted at most, `drifted_at` when that was (UTC). Everything
    older than `lag_ms` has been compared.
    """

    compared: int = 0
    drifted: int = 0
    repaired: int = 0
    ahead: int = 0
    oldest_drift_ms: int = 0
    drifted_at: str = ""
    lag_ms: int = 0
    at: str = ""


class Round(NamedTuple):
    """What one round did: items compared, and whether there is more to compare at once."""

    compared: int
    has_more: bool


class Reconciliation:
    """One worker. Any error of a store hangs up both; the next round starts afresh."""

    def __init__(self, settings: Settings, *, log: FilteringBoundLogger | None = None) -> None:
        self.settings = settings
        self.log: FilteringBoundLogger = log or structlog.get_logger("nova.reconciliation")
        self.kept_seconds = kept_seconds(settings)
        self.reports: dict[ItemType, Report] = {item_type: Report() for item_type in CHANGED}
        self.cursors: dict[ItemType, Cursor] = {}
        self.source = ""
        self.marks: deque[Mark] = deque()
        self.walk_cursor = 0
        self.is_walk_urgent = False
        self.next_walk_at = 0.0
        self.postgres: CaptureSource | None = None
        self.redis: redis.Redis | None = None

    def __enter__(self) -> Self:
        """Connect lazily: the first round does."""
        return self

    def __exit__(self, *_: object) -> None:
        """Hang up."""
        self.disconnect()

    # ---------- connections

    def connect(self) -> tuple[CaptureSource, redis.Redis]:
        """Return both stores, connecting to what is missing."""
        if self.postgres is None:
            self.postgres = CaptureSource(self.settings.postgres_url, "nova reconciliation")
            source = self.postgres.identity()
            if source != self.source:
                # Transaction numbers of another Postgres say nothing about this one's.
                self.marks.clear()
            self.source = source
        if self.redis is None:
            self.redis = redis.Redis.from_url(
                self.settings.redis_url,
                socket_timeout=REDIS_SECONDS,
                socket_connect_timeout=REDIS_SECONDS,
                retry=Retry(NoBackoff(), 1),
            )
        return self.postgres, self.redis

    def disconnect(self) -> None:
        """Hang up."""
        for peer in (self.postgres, self.redis):
            if peer is not None:
                with contextlib.suppress(*TRANSIENT):
                    peer.close()
        self.postgres = self.redis = None

    # ---------- rounds

    def run_once(self) -> Round:
        """Compare the next changes of every table, and walk on; quick when there is nothing."""
        try:
            postgres, client = self.connect()
            next_txid = self.look(postgres)
            settled = self.settled()
            compared, has_more = 0, False
            if settled is not None:
                cursors = self.kept_cursors(client)
                for item_type in CHANGED:
                    at = self.standing(item_type, cursors.get(item_type), settled, next_txid)
                    rows = self.changed(postgres, item_type, at, settled)
                    self.compare_changes(client, at, rows, item_type)
                    self.cursors[item_type] = self.moved(at, rows, settled)
                    compared += len(rows)
                    has_more = has_more or len(rows) == CHANGES_AT_ONCE
                compared += self.walk(postgres, client, settled)
            self.report(client)
        except TRANSIENT:
            self.disconnect()
            raise
        return Round(compared, has_more or self.is_walk_urgent)

    def look(self, postgres: CaptureSource) -> int:
        """Note how far Postgres has settled; returns the number no transaction has had yet."""
        at_ms = now_ms()
        horizon = postgres.horizon()
        if self.marks and horizon.horizon_txid < self.marks[-1].txid:
            self.marks.clear()  # it was put back to an older state
        # A catching-up worker looks often; it needs no more marks for that.
        if not self.marks or at_ms - self.marks[-1].at_ms >= EVERY_SECONDS * 1000 / 2:
            self.marks.append(Mark(horizon.horizon_txid, at_ms))
        return horizon.next_txid

    def settled(self) -> Mark | None:
        """Return the latest mark that is old enough for its writes to be in Redis."""
        latest_ms = now_ms() - GRACE_SECONDS * 1000
        while len(self.marks) > 1 and self.marks[1].at_ms <= latest_ms:
            self.marks.popleft()
        if self.marks and self.marks[0].at_ms <= latest_ms:
            return self.marks[0]
        return None

    # ---------- where to go on

    def kept_cursors(self, client: redis.Redis) -> dict[ItemType, Cursor]:
        """Return the cursors that Redis holds."""
        kept = cast("dict[bytes, bytes]", client.hgetall(CURSORS_KEY))
        return {
            item_type: msgspec.json.decode(kept[item_type.encode()], type=Cursor)
            for item_type in CHANGED
            if item_type.encode() in kept
        }

    def standing(
        self, item_type: ItemType, kept: Cursor | None, settled: Mark, next_txid: int
    ) -> Cursor:
        """
        Return where to go on: at the cursor in Redis, else at ours, else from now on.

        Redis' comes first even where it is behind ours: then Redis went back, and its counters
        did too. From now on means that everything before is left to the walk, which hurries.
        """
        known = kept or self.cursors.get(item_type)
        if known is not None and known.source == self.source and known.txid < next_txid:
            return known
        self.log.info(
            "comparing anew",
            item_type=item_type,
            reason="no cursor" if known is None else "another Postgres, or an older state of it",
            source=self.source,
        )
        self.walk_cursor = 0
        self.is_walk_urgent = True
        return Cursor(self.source, settled.txid - 1, LAST_ITEM, settled.at_ms)

    def moved(self, at: Cursor, rows: Sequence[Row], settled: Mark) -> Cursor:
        """Return the cursor behind compared rows; at the mark when they were all there are."""
        if len(rows) == CHANGES_AT_ONCE:
            last = rows[-1]
            return msgspec.structs.replace(at, txid=last.txid, item_id=last.counts.item_id)
        if settled.txid - 1 < at.txid:  # another worker's cursor is ahead of our marks
            return at
        return Cursor(self.source, settled.txid - 1, LAST_ITEM, settled.at_ms)

    # ---------- comparing

    def changed(
        self, postgres: CaptureSource, item_type: ItemType, at: Cursor, settled: Mark
    ) -> list[Row]:
        """Return the next changed counters behind a cursor."""
        return self.rows(
            postgres,
            CHANGED[item_type],
            {
                "after_txid": at.txid,
                "after_id": at.item_id,
                "before_txid": settled.txid,
                "rows": CHANGES_AT_ONCE,
            },
        )

    def compare_changes(
        self, client: redis.Redis, at: Cursor, rows: Sequence[Row], item_type: ItemType
    ) -> None:
        """Repair what Redis missed; what it does not hold is read from Postgres when needed."""
        report = self.reports[item_type]
        report.lag_ms = max(0, now_ms() - at.settled_ms)
        if not rows:
            return
        keys = [key_of(item_type, row.counts.item_id) for row in rows]
        values = cast("list[bytes | None]", client.mget(keys))
        behind = [
            row.counts
            for row, value in zip(rows, values, strict=True)
            if value is not None and version_of(value) < row.counts.version
        ]
        report.compared += len(rows)
        if behind:
            report.oldest_drift_ms = report.lag_ms
            self.repair(client, item_type, behind, found_by="changes")

    def walk(self, postgres: CaptureSource, client: redis.Redis, settled: Mark) -> int:
        """
        Compare the next keys of Redis; returns how many.

        Redis is read first. What it has was committed by then, so a Postgres read later that has
        less has gone back; such counters are dropped, and the next page reads them from Postgres.
        """
        is_between = self.walk_cursor == 0 and time.monotonic() < self.next_walk_at
        if is_between and not self.is_walk_urgent:
            return 0
        self.walk_cursor, keys = cast(
            "tuple[int, list[bytes]]",
            client.scan(self.walk_cursor, match=f"{PREFIX}*", count=WALK_AT_ONCE),
        )
        if self.walk_cursor == 0:
            self.is_walk_urgent = False
            self.next_walk_at = time.monotonic() + WALK_EVERY_SECONDS
        values = cast("list[bytes | None]", client.mget(keys)) if keys else []
        held = {
            item_of(key): (key, value)
            for key, value in zip(keys, values, strict=True)
            if value is not None
        }
        for item_type in CHANGED:
            ids = [item_id for of_type, item_id in held if of_type == item_type]
            if not ids:
                continue
            parameters = {"item_type": item_type, "item_ids": ids}
            rows = self.rows(postgres, SQL["item_totals"], parameters)
            current = {row.counts.item_id: row for row in rows}
            ahead, behind = [], []
            for item_id in ids:
                key, value = held[item_type, item_id]
                row, version = current[item_id], version_of(value)
                if version > row.counts.version:
                    ahead.append((key, value))
                elif version < row.counts.version and row.txid < settled.txid:
                    behind.append(row.counts)
            self.reports[item_type].compared += len(ids)
            if ahead:
                self.drop(client, item_type, ahead)
            if behind:
                self.repair(client, item_type, behind, found_by="walk")
        return len(held)

    def repair(
        self,
        client: redis.Redis,
        item_type: ItemType,
        behind: Sequence[ItemCounts],
        *,
        found_by: str,
    ) -> None:
        """Replace what is older in Redis, and say so."""
        keep = client.register_script(LUA["keep_counts"])
        repaired = 0
        for keys, args in keep_calls(behind, self.kept_seconds):
            repaired += int(cast("int", keep(keys=keys, args=args)))
        report = self.reports[item_type]
        report.drifted += len(behind)
        report.repaired += repaired
        report.drifted_at = instant()
        self.log.warning(
            "counters had drifted",
            item_type=item_type,
            found_by=found_by,
            drifted=len(behind),
            repaired=repaired,
            oldest_drift_ms=report.oldest_drift_ms if found_by == "changes" else None,
            examples=[str(counts.item_id) for counts in behind[:EXAMPLES]],
        )

    def drop(
        self, client: redis.Redis, item_type: ItemType, ahead: Sequence[tuple[bytes, bytes]]
    ) -> None:
        """Forget what Postgres no longer knows, unless it changed meanwhile, and say so."""
        drop = client.register_script(LUA["drop_counts"])
        dropped = cast(
            "int", drop(keys=[key for key, _ in ahead], args=[value for _, value in ahead])
        )
        self.reports[item_type].ahead += dropped
        self.log.warning(
            "counters were ahead of Postgres",
            item_type=item_type,
            dropped=dropped,
            examples=[str(item_of(key)[1]) for key, _ in ahead[:EXAMPLES]],
        )

    def rows(
        self, postgres: CaptureSource, statement: str, parameters: Mapping[str, Any]
    ) -> list[Row]:
        """Return counters with the transactions that wrote them."""
        with postgres.connection.cursor(row_factory=tuple_row) as cursor:
            found: Iterable[tuple[Any, ...]] = cursor.execute(statement.encode(), parameters)
            return [Row(msgspec.convert(row[:-1], ItemCounts), row[-1]) for row in found]

    # ---------- telling

    def report(self, client: redis.Redis) -> None:
        """Keep the cursors and tell what was found, together."""
        at = instant()
        for report in self.reports.values():
            report.at = at
        pipeline = client.pipeline(transaction=False)
        if self.cursors:
            pipeline.hset(CURSORS_KEY, mapping=encoded(self.cursors))
        pipeline.hset(REPORT_KEY, mapping=encoded(self.reports))
        pipeline.execute()


def encoded(values: Mapping[ItemType, Any]) -> dict[Any, Any]:
    """Return the fields of a hash."""
    return {name: msgspec.json.encode(value) for name, value in values.items()}


def now_ms() -> int:
    """Return this clock (milliseconds since 1970)."""
    return time.time_ns() // 1_000_000


def instant() -> str:
    """Return this clock as RFC 3339 (UTC)."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def work(reconciliation: Reconciliation, stop: Event) -> None:
    """Compare until `stop` is set; a store that is away is asked again, after a pause."""
    patience = retrying(
        stop, reconciliation.log, TRANSIENT, longest_pause_seconds=LONGEST_PAUSE_SECONDS
    )
    while not stop.is_set():
        began_at = time.monotonic()
        try:
            done = patience(reconciliation.run_once)
        except TRANSIENT:
            if stop.is_set():
                return
            raise
        if not done.has_more:
            stop.wait(max(0.0, EVERY_SECONDS - (time.monotonic() - began_at)))


def main() -> int:
    """Run until SIGTERM or SIGINT."""
    # The service's log format, without making callers of `Reconciliation` load the service.
    from api.logging import configure_logging

    settings = Settings.from_environ()
    configure_logging(settings)

    def end(*_: Any) -> None:
        # At once, in the middle of whatever waits for a store: all of it can be done again.
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    with Reconciliation(settings) as reconciliation:
        reconciliation.log.info("reconciliation begins")
        work(reconciliation, Event())
    return 0


if __name__ == "__main__":
    sys.exit(main())
