"""
Refreshing: what ranks is computed anew when something has landed, not at the next whole second.

ClickHouse refreshes by the clock, in whole seconds, also when nothing has changed. The models that
say `refresh_after_landing` are refreshed here: at once after rows have landed in a table they are
made of, those that are made of others after those. Their own `refresh_seconds` remain for what
nobody tells, and for a machine on which this does not run.

It rests for as long as a refresh took, so that a large catalogue is refreshed less often and
not all the time, and never refreshes more often than every `SHORTEST_SECONDS`. Twice at once is
harmless.

Dictionaries that are older than their lifetime are loaded here too: the embedded engine has nobody
who does, and what is made of charts or of clusters changes without a landing.

What it tells is only what it has refreshed. A word can get lost: on a line that is dead and was not
closed, or when the landing worker could not send it. So what has landed without a word is refreshed
too, later; and the line is asked whether it lives.
"""

from __future__ import annotations

import contextlib
import itertools
import sys
import time
from threading import Event
from typing import Self, cast

import clickhouse_connect
import msgspec
import redis
import structlog
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError
from msgspec import Struct
from structlog.typing import FilteringBoundLogger

from api.settings import Settings
from api.workers import (
    LANDED_KEY,
    LANDED_ROWS_CHANNEL,
    REFRESHED_KEPT_SECONDS,
    REFRESHED_KEY,
    LandedRows,
)
from api.workers.patience import retrying
from api.workers.stopping import told_to_stop

SHORTEST_SECONDS = 0.15  # from the beginning of one refresh to that of the next
RESTS_PER_REFRESH = 1.0  # of the time a refresh took (ratio)
# Without word from the landing worker: how long one waits for it, and how often one refreshes when
# there is none to expect (Redis is away, or Kafka lands).
SILENT_SECONDS = 1.0
# What landed without a word is refreshed after so long: that it moves is mostly transactions
# without rows, which nobody waits for.
WORDLESS_SECONDS = 5.0
# A line that owes an answer for so long is dead.
DEAF_SECONDS = 2.0
CONNECT_SECONDS = 5
REFRESH_SECONDS = 120

TRANSIENT = (ClickHouseError, OSError)

# What a model says of itself (macros/materializations/refreshed_after_landing.sql).
PLAN = r"""
with extractGroups(comment, '^refreshed after landing of ([a-z0-9_, ]+), step (\d+)$') as said

select
    toUInt8(said[2]) as step,
    name,
    engine = 'Dictionary' as is_dictionary,
    splitByString(', ', said[1]) as made_of
from system.tables
where
    database = 'nova'
    and engine in ('MaterializedView', 'Dictionary')
    and notEmpty(said)
order by
    step,
    name
"""

# How often one looks for dictionaries that are older than they may be.
LOOK_SECONDS = 5.0
OVERDUE = """
select name
from system.dictionaries
where
    database = 'nova'
    and lifetime_max > 0
    and last_successful_update_time > 0
    and last_successful_update_time + toIntervalSecond(lifetime_max) <= now()
order by name
"""

log: FilteringBoundLogger = structlog.get_logger("nova.refreshing")


class Landed(Struct):
    """What has landed, as far as it was heard of: tables, None for all; up to which transaction."""

    tables: frozenset[str] | None = frozenset()
    txid: int | None = None

    def __bool__(self) -> bool:
        """Say whether something has landed."""
        return self.tables is None or bool(self.tables)

    def and_then(self, later: Landed) -> Landed:
        """Return both together."""
        if self.tables is None or later.tables is None:
            return Landed(None, later.txid)
        return Landed(self.tables | later.tables, self.txid if later.txid is None else later.txid)


NOTHING = Landed()
ANYTHING = Landed(tables=None)


class Ear:
    """
    Hears from Redis what has landed, and tells it how far it is served.

    Hears nothing while Redis is away.
    """

    def __init__(self, settings: Settings) -> None:
        timeout = settings.redis_timeout_ms / 1000
        self._client = redis.Redis.from_url(
            settings.redis_url, socket_timeout=timeout, socket_connect_timeout=timeout
        )
        self._channel = self._client.pubsub()  # type: ignore[no-untyped-call]
        self._is_subscribed = False
        # Since when the line owes an answer (`time.monotonic`), None when it does not.
        self._asked_at: float | None = None

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
                self._client.set(REFRESHED_KEY, txid, ex=REFRESHED_KEPT_SECONDS)

    def landed(self, seconds: float) -> Landed:
        """Wait for rows to land for at most so long; `ANYTHING` when it cannot be known."""
        try:
            if not self._is_subscribed:
                self._channel.subscribe(LANDED_ROWS_CHANNEL)
                self._is_subscribed, self._asked_at = True, None
            if self._asked_at is None:
                self._channel.ping()
                self._asked_at = time.monotonic()
            heard = self._heard(seconds)
            if self._asked_at is not None and time.monotonic() - self._asked_at > DEAF_SECONDS:
                raise redis.ConnectionError("the line is dead")
        except redis.RedisError:
            self._is_subscribed = False
            with contextlib.suppress(redis.RedisError):
                self._channel.reset()
            return ANYTHING
        return heard

    def _heard(self, seconds: float) -> Landed:
        """Return what is told within so long; what comes together is heard together."""
        until = time.monotonic() + seconds
        heard = NOTHING
        while True:
            # Something was heard: no more is waited for.
            left = 0 if heard else max(until - time.monotonic(), 0)
            message = self._channel.get_message(timeout=left)
            if message is not None:
                heard = heard.and_then(self._meaning(message["type"], message["data"]))
                self._asked_at = None
            elif left == 0:
                return heard

    def _meaning(self, kind: str, said: bytes) -> Landed:
        if kind == "message":
            try:
                word = msgspec.json.decode(said, type=LandedRows)
            except msgspec.DecodeError:
                return ANYTHING
            return Landed(frozenset(word.tables), word.txid)
        # Also when the client has subscribed anew by itself: what landed before is not told again.
        return ANYTHING if kind == "subscribe" else NOTHING


class Step(Struct, frozen=True):
    """One thing that is refreshed after landing."""

    number: int
    name: str
    is_dictionary: bool
    made_of: list[str]

    def is_due(self, tables: frozenset[str] | None) -> bool:
        """Say whether it is made of one of these tables; None is all of them."""
        return tables is None or not tables.isdisjoint(self.made_of)


class Refresher:
    """Refreshes what says `refresh_after_landing`, step by step."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.clickhouse_url
        self._client: Client | None = None
        self._failing: set[str] = set()  # statements that failed the last time
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

    def refresh(self, tables: frozenset[str] | None = None) -> list[str]:
        """
        Refresh what is made of these tables, of any when None; returns what is served anew.

        A refresh that fails, or whose view a build replaces at this moment, is left to the next
        one: the rows of before are served on. Raises `ClickHouseError` or `OSError` when
        ClickHouse itself is away.
        """
        client = self._connected()
        self.is_complete = False
        refreshed: list[str] = []
        try:
            plan = itertools.starmap(Step, client.query(PLAN).result_rows)
            due = [step for step in plan if step.is_due(tables)]
            for _, steps in itertools.groupby(due, key=lambda step: step.number):
                refreshed += self._refresh_together(list(steps))
            self.is_complete = len(refreshed) == len(due)
        except TRANSIENT:
            self.disconnect()
            raise
        return refreshed

    def load_overdue(self) -> list[str]:
        """
        Load the dictionaries whose lifetime is over; returns which.

        Raises `ClickHouseError` or `OSError` when ClickHouse itself is away.
        """
        try:
            overdue = [name for (name,) in self._connected().query(OVERDUE).result_rows]
            return [
                name for name in overdue if self._tried(f"system reload dictionary nova.`{name}`")
            ]
        except TRANSIENT:
            self.disconnect()
            raise

    def _refresh_together(self, steps: list[Step]) -> list[str]:
        """Refresh what does not depend on each other; returns what went well."""
        views = [step for step in steps if not step.is_dictionary]
        for view in views:
            self._tried(f"system refresh view nova.`{view.name}`")
        return [
            *(view.name for view in views if self._tried(f"system wait view nova.`{view.name}`")),
            *(
                step.name
                for step in steps
                if step.is_dictionary
                and self._tried(f"system reload dictionary nova.`{step.name}`")
            ),
        ]

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
            if statement not in self._failing:
                self._failing.add(statement)
                log.warning(
                    "a model is not refreshed",
                    statement=statement,
                    reason=str(exc).partition("\n")[0],
                )
            return False
        if statement in self._failing:
            self._failing.discard(statement)
            log.info("a model is refreshed again", statement=statement)
        return True


class Progress:
    """Up to which transaction what ranks was made of what has landed, as far as is known."""

    def __init__(self) -> None:
        self.txid: int | None = None
        self._behind_since: float | None = None

    def refreshed(self, txid: int | None) -> None:
        """Note that everything up to a transaction was refreshed; None when it was not."""
        self.txid = self.txid if txid is None else txid
        self._behind_since = None

    def is_behind(self, landed_txid: int | None) -> bool:
        """Say whether something else has landed for so long that no word of it will come."""
        if landed_txid is None or landed_txid == self.txid:
            self._behind_since = None
            return False
        now = time.monotonic()
        if self._behind_since is None:
            self._behind_since = now
        return now - self._behind_since >= WORDLESS_SECONDS


def work(settings: Settings, stop: Event) -> None:
    """Refresh until `stop` is set, whenever rows have landed."""
    patience = retrying(stop, log, TRANSIENT)
    ear = Ear(settings)
    progress = Progress()
    owed = NOTHING  # landed, and what is made of it was not refreshed
    looked_at = time.monotonic()
    try:
        with Refresher(settings) as refresher:
            while not stop.is_set():
                if time.monotonic() - looked_at >= LOOK_SECONDS:
                    patience(refresher.load_overdue)
                    looked_at = time.monotonic()
                heard = ear.landed(SILENT_SECONDS) if settings.cdc == "pull" else ANYTHING
                if heard.tables is None:
                    stop.wait(SILENT_SECONDS)
                elif not heard:
                    if progress.is_behind(ear.landed_txid()):
                        heard = ANYTHING
                    else:
                        if refresher.is_complete:
                            ear.refreshed(progress.txid)  # it would end
                        continue
                if stop.is_set():
                    continue
                began_at = time.monotonic()
                owed = owed.and_then(heard)
                if owed.tables is None:
                    owed = Landed(None, ear.landed_txid())
                patience(refresher.refresh, owed.tables)
                progress.refreshed(owed.txid if refresher.is_complete else None)
                if refresher.is_complete:
                    ear.refreshed(owed.txid)
                    owed = NOTHING
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
    work(settings, told_to_stop())
    return 0


if __name__ == "__main__":
    sys.exit(main())
