"""
Housekeeping: what has to happen to Postgres again and again, or something fills up or is refused.

* Every few seconds: queued events whose video or post has appeared are stored, and answers kept for
  repeated requests are forgotten after a day. Both in small steps, and cheap when there is nothing.
* Every hour: event partitions are made ahead of time and expired ones dropped.

Python says when; the functions say what, and may run twice at once.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from threading import Event
from typing import Any

import psycopg
import structlog
from msgspec import Struct
from msgspec.structs import asdict
from psycopg.rows import scalar_row
from structlog.typing import FilteringBoundLogger

from api.settings import Settings
from api.workers.stopping import told_to_stop

TIDY_EVERY_SECONDS = 3.0
PARTITIONS_EVERY_SECONDS = 3_600.0
AGAIN_SECONDS = 15.0  # after a failure
CONNECT_SECONDS = 5
# Dropping a partition waits for whoever reads it, but never makes writers queue behind it for long.
LOCK_MS = 2_000
STATEMENT_MS = 60_000
# Steps of one kind in a row: a long queue is worked off without a pause, yet nobody starves.
MOST_STEPS = 20

log: FilteringBoundLogger = structlog.get_logger("nova.housekeeping")

Duty = Callable[[psycopg.Connection[Any]], None]


class Tidied(Struct, frozen=True):
    """What one round of tidying did (counts)."""

    ingested: int = 0
    expired: int = 0
    forgotten: int = 0


def connect(postgres_url: str) -> psycopg.Connection[Any]:
    """Connect so that no statement waits or runs for long."""
    options = f"-c lock_timeout={LOCK_MS} -c statement_timeout={STATEMENT_MS}"
    return psycopg.connect(
        postgres_url,
        autocommit=True,
        connect_timeout=CONNECT_SECONDS,
        options=options,
        application_name="nova-housekeeping",
        # A peer that vanished is noticed in seconds, not in hours.
        keepalives_idle=5,
        keepalives_interval=2,
        keepalives_count=3,
        tcp_user_timeout=15_000,
    )


def maintain_partitions(connection: psycopg.Connection[Any]) -> int:
    """Make and drop event partitions; returns how many."""
    with connection.cursor(row_factory=scalar_row) as cursor:
        return int(cursor.execute("select app.maintain_event_partitions()").fetchone() or 0)


def tidy(connection: psycopg.Connection[Any]) -> Tidied:
    """Store queued events whose item has appeared, drop what expired; step by step, bounded."""
    ingested = expired = forgotten = 0
    for _ in range(MOST_STEPS):
        step = connection.execute(
            "select ingested, expired from app.ingest_queued_events()"
        ).fetchone()
        if step is None or step == (0, 0):
            break
        ingested, expired = ingested + step[0], expired + step[1]
    with connection.cursor(row_factory=scalar_row) as cursor:
        for _ in range(MOST_STEPS):
            deleted = cursor.execute("select app.delete_expired_request_keys()").fetchone()
            if not deleted:
                break
            forgotten += deleted
    return Tidied(ingested, expired, forgotten)


def log_tidied(connection: psycopg.Connection[Any]) -> None:
    """Tidy, and say what that did."""
    done = tidy(connection)
    if done != Tidied():
        log.info("tidied", **asdict(done))


def log_partitions(connection: psycopg.Connection[Any]) -> None:
    """Maintain partitions, and say what that did."""
    if changed := maintain_partitions(connection):
        log.info("event partitions changed", partitions=changed)


DUTIES: Mapping[Duty, float] = {
    log_partitions: PARTITIONS_EVERY_SECONDS,
    log_tidied: TIDY_EVERY_SECONDS,
}


def work(settings: Settings, stop: Event) -> None:
    """
    Keep house until `stop` is set; a Postgres that is away is asked again soon.

    A duty that fails keeps none of the others from being done.
    """
    due_at = dict.fromkeys(DUTIES, 0.0)  # by time.monotonic()
    while not stop.is_set():
        try:
            with connect(settings.postgres_url) as connection:
                while not stop.is_set():
                    attend(connection, due_at)
                    stop.wait(TIDY_EVERY_SECONDS)
        except psycopg.Error as exc:
            log.warning("housekeeping failed, trying again", error=type(exc).__name__)
            stop.wait(AGAIN_SECONDS)


def attend(connection: psycopg.Connection[Any], due_at: dict[Duty, float]) -> None:
    """Do what is due, and note when it is again; raises when the connection is gone."""
    for duty, every_seconds in DUTIES.items():
        if time.monotonic() < due_at[duty]:
            continue
        try:
            duty(connection)
            due_at[duty] = time.monotonic() + every_seconds
        except psycopg.Error as exc:
            if connection.closed:
                raise
            log.warning("a duty failed", duty=duty.__name__, error=type(exc).__name__)
            due_at[duty] = time.monotonic() + AGAIN_SECONDS


def main() -> int:
    """Run until SIGTERM or SIGINT."""
    # The service's log format, without making callers of these functions load the service.
    from api.logging import configure_logging

    settings = Settings.from_environ()
    configure_logging(settings)
    work(settings, told_to_stop())
    return 0


if __name__ == "__main__":
    sys.exit(main())
