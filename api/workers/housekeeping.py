"""
Housekeeping: what has to happen to Postgres again and again, or something fills up or is refused.

* Every few seconds: queued events whose video or post has appeared are stored, and answers kept for
  repeated requests are forgotten after a day. Both in small steps, and cheap when there is nothing.
* Every hour: event partitions are made ahead of time and expired ones dropped.

Python says when; the functions say what, and may run twice at once.
"""

from __future__ import annotations

import signal
import sys
import time
from threading import Event
from typing import Any

import psycopg
import structlog
from msgspec import Struct
from msgspec.structs import asdict
from psycopg.rows import scalar_row
from structlog.typing import FilteringBoundLogger

from api.settings import Settings

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


def work(settings: Settings, stop: Event) -> None:
    """Keep house until `stop` is set; a Postgres that is away is asked again soon."""
    partitions_at = 0.0  # by time.monotonic()
    while not stop.is_set():
        try:
            with connect(settings.postgres_url) as connection:
                while not stop.is_set():
                    done = tidy(connection)
                    if done != Tidied():
                        log.info("tidied", **asdict(done))
                    if time.monotonic() >= partitions_at:
                        # Last: when a reader keeps a partition from being dropped, this raises.
                        changed = maintain_partitions(connection)
                        if changed:
                            log.info("event partitions changed", partitions=changed)
                        partitions_at = time.monotonic() + PARTITIONS_EVERY_SECONDS
                    stop.wait(TIDY_EVERY_SECONDS)
        except psycopg.Error as exc:
            log.warning("housekeeping failed, trying again", error=type(exc).__name__)
            stop.wait(AGAIN_SECONDS)


def main() -> int:
    """Run until SIGTERM or SIGINT."""
    # The service's log format, without making callers of these functions load the service.
    from api.logging import configure_logging

    settings = Settings.from_environ()
    configure_logging(settings)
    stop = Event()

    def end(*_: Any) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    work(settings, stop)
    return 0


if __name__ == "__main__":
    sys.exit(main())
