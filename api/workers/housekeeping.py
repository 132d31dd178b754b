"""
Housekeeping: what has to happen to Postgres every hour or so, or writes are refused one day.

Makes event partitions ahead of time and drops expired ones. Python says when; the function says
what, and may run twice at once.
"""

from __future__ import annotations

import signal
import sys
from threading import Event
from typing import Any

import psycopg
import structlog
from structlog.typing import FilteringBoundLogger

from api.settings import Settings

EVERY_SECONDS = 3_600.0
AGAIN_SECONDS = 15.0  # after a failure
CONNECT_SECONDS = 5
# Dropping a partition waits for whoever reads it, but never makes writers queue behind it for long.
LOCK_MS = 2_000
STATEMENT_MS = 60_000

log: FilteringBoundLogger = structlog.get_logger("nova.housekeeping")


def keep_house(postgres_url: str) -> int:
    """Do what is due; returns how many partitions were made or dropped."""
    options = f"-c lock_timeout={LOCK_MS} -c statement_timeout={STATEMENT_MS}"
    with psycopg.connect(
        postgres_url, autocommit=True, connect_timeout=CONNECT_SECONDS, options=options
    ) as connection:
        changed = connection.execute("select app.maintain_event_partitions()").fetchone()
    assert changed is not None
    return int(changed[0])


def work(settings: Settings, stop: Event) -> None:
    """Keep house until `stop` is set; a Postgres that is away is asked again soon."""
    while not stop.is_set():
        try:
            changed = keep_house(settings.postgres_url)
        except psycopg.Error as exc:
            log.warning("housekeeping failed, trying again", error=type(exc).__name__)
            stop.wait(AGAIN_SECONDS)
            continue
        if changed:
            log.info("event partitions changed", partitions=changed)
        stop.wait(EVERY_SECONDS)


def main() -> int:
    """Run until SIGTERM or SIGINT."""
    # The service's log format, without making callers of `keep_house` load the service.
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
