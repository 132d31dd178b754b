"""
Refreshing: what ranks is computed anew when something has landed, not at the next whole second.

ClickHouse refreshes by the clock, in whole seconds, also when nothing has changed. The models that
say `refresh_after_landing` are refreshed here: at once after rows have landed, those that are made
of others after those. Their own `refresh_seconds` remain for what nobody tells, and for a machine
on which this does not run.

It rests for twice as long as a refresh took, so that it takes a core at most a third of the time,
and never refreshes more often than every `SHORTEST_SECONDS`. Twice at once is harmless.
"""

from __future__ import annotations

import contextlib
import itertools
import signal
import sys
import time
from threading import Event
from typing import Any, Self, cast

import clickhouse_connect
import redis
import structlog
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError
from structlog.typing import FilteringBoundLogger

from api.settings import Settings
from api.workers import LANDED_KEY, LANDED_ROWS_CHANNEL, REFRESHED_KEY
from api.workers.patience import retrying

SHORTEST_SECONDS = 0.3  # from the beginning of one refresh to that of the next
RESTS_PER_REFRESH = 2.0  # of the time a refresh took (ratio)
# Without word from the landing worker: how long one waits for it, and how often one refreshes when
# there is none to expect (Redis is away, or Kafka lands).
SILENT_SECONDS = 1.0
CONNECT_SECONDS = 5
REFRESH_SECONDS = 120

TRANSIENT = (ClickHouseError, OSError)

# What a model says of itself (macros/materializations/refreshed_table.sql).
PLAN = """
select
    toUInt8OrZero(extract(comment, '^refreshed after landing, step ([0-9]+)$')) as step,
    name
from system.tables
where
    database = 'nova'
    and engine = 'MaterializedView'
    and step > 0
order by
    step,
    name
"""

log: FilteringBoundLogger = structlog.get_logger("nova.refreshing")


class Ear:
    """
    Hears from Redis that rows have landed, and tells it how far they are served.

    Hears nothing while Redis is away.
    """

    def __init__(self, settings: Settings) -> None:
        timeout = settings.redis_timeout_ms / 1000
        self._client = redis.Redis.from_url(
            settings.redis_url, socket_timeout=timeout, socket_connect_timeout=timeout
        )
        self._channel = self._client.pubsub(  # type: ignore[no-untyped-call]
            ignore_subscribe_messages=True
        )
        self._is_subscribed = False

    def close(self) -> None:
        """Hang up."""
        with contextlib.suppress(redis.RedisError):
            self._channel.close()
        self._client.close()

    def landed_txid(self) -> int | None:
        """Return up to which transaction everything has landed; None when it cannot be known."""
        with contextlib.suppress(redis.RedisError):
            told = self._client.get(LANDED_KEY)
            return None if told is None else int(cast("bytes", told))
        return None

    def refreshed(self, txid: int | None) -> None:
        """Tell that what ranks is made of everything up to a transaction."""
        if txid is not None:
            with contextlib.suppress(redis.RedisError):
                self._client.set(REFRESHED_KEY, txid)

    def has_landed(self, seconds: float) -> bool | None:
        """Wait for rows to land for at most so long; None when it cannot be known."""
        try:
            if not self._is_subscribed:
                self._channel.subscribe(LANDED_ROWS_CHANNEL)
                self._is_subscribed = True
                return None  # what landed before is not told again
            until = time.monotonic() + seconds
            while (left := until - time.monotonic()) > 0:
                if self._channel.get_message(timeout=left) is not None:
                    # What has come meanwhile is refreshed together.
                    while self._channel.get_message(timeout=0) is not None:
                        pass
                    return True
        except redis.RedisError:
            self._is_subscribed = False
            with contextlib.suppress(redis.RedisError):
                self._channel.reset()
            return None
        return False


class Refresher:
    """Refreshes what says `refresh_after_landing`, step by step."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.clickhouse_url
        self._client: Client | None = None
        self.is_complete = False  # the last refresh left nothing to the next

    def __enter__(self) -> Self:
        """Connect lazily: the first refresh does."""
        return self

    def __exit__(self, *_: object) -> None:
        """Hang up."""
        self.disconnect()

    def disconnect(self) -> None:
        """Hang up; the next refresh connects."""
        if self._client is not None:
            with contextlib.suppress(*TRANSIENT):
                self._client.close()
            self._client = None

    def refresh(self) -> list[str]:
        """
        Refresh the models now, and return when they are served; returns their views.

        A refresh that fails, or whose view a build replaces at this moment, is left to the next
        one: the rows of before are served on. Raises `ClickHouseError` or `OSError` when
        ClickHouse itself is away.
        """
        client = self._connected()
        self.is_complete = False
        refreshed = []
        try:
            plan = client.query(PLAN).result_rows
            for _, views in itertools.groupby(plan, key=lambda row: row[0]):
                names = [f"nova.`{name}`" for _, name in views]
                for name in names:
                    self._tried(f"system refresh view {name}")
                refreshed += [name for name in names if self._tried(f"system wait view {name}")]
            self.is_complete = len(refreshed) == len(plan)
        except TRANSIENT:
            self.disconnect()
            raise
        return refreshed

    def _connected(self) -> Client:
        if self._client is None:
            self._client = clickhouse_connect.get_client(
                dsn=self._url,
                autogenerate_session_id=False,
                connect_timeout=CONNECT_SECONDS,
                send_receive_timeout=REFRESH_SECONDS,
                query_retries=0,
            )
        return self._client

    def _tried(self, statement: str) -> bool:
        """Say whether a statement went well; raises when it was not answered at all."""
        client = self._connected()
        try:
            client.command(statement)
        except ClickHouseError as exc:
            client.query("select 1")  # or ClickHouse is away, which is not this view's fault
            log.warning(
                "a model was not refreshed", statement=statement, reason=str(exc).partition("\n")[0]
            )
            return False
        return True


def work(settings: Settings, stop: Event) -> None:
    """Refresh until `stop` is set, whenever rows have landed."""
    patience = retrying(stop, log, TRANSIENT)
    ear = Ear(settings)
    try:
        with Refresher(settings) as refresher:
            while not stop.is_set():
                landed_txid = ear.landed_txid()
                has_landed = ear.has_landed(SILENT_SECONDS) if settings.cdc == "pull" else None
                if has_landed is None:
                    stop.wait(SILENT_SECONDS)
                if has_landed is False and refresher.is_complete:
                    # It moved without rows; those before it were heard of long ago.
                    ear.refreshed(landed_txid)
                if has_landed is False or stop.is_set():
                    continue
                began_at = time.monotonic()
                landed_txid = ear.landed_txid()
                patience(refresher.refresh)
                if refresher.is_complete:
                    ear.refreshed(landed_txid)
                took = time.monotonic() - began_at
                stop.wait(max(RESTS_PER_REFRESH * took, SHORTEST_SECONDS - took))
    except TRANSIENT:
        if not stop.is_set():
            raise
    finally:
        ear.close()


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
