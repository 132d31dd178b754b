"""The refreshing worker: what says so is computed anew when rows have landed, in its steps."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from threading import Event, Thread

import clickhouse_connect
import msgspec
import pytest
import redis
import structlog
from clickhouse_connect.driver.client import Client
from structlog.testing import LogCapture

from api.settings import Settings
from api.stack.ports import free_port
from api.workers import LANDED_KEY, LANDED_ROWS_CHANNEL, REFRESHED_KEY, LandedRows, refreshing
from api.workers.refreshing import (
    ANYTHING,
    DEAF_SECONDS,
    NOTHING,
    TRANSIENT,
    Ear,
    Landed,
    Refresher,
    work,
)
from tests.api.proxy import Proxy
from tests.conftest import child_environment, settings_on

# Nothing here comes from its own turn: that is an hour away.
REFRESHED = "refresh every 1 hour"
FIRST = "refreshed after landing of events, videos, step 1"
SECOND = "refreshed after landing of events, videos, step 2"


@pytest.fixture
def clickhouse(own_clickhouse_url: str) -> Iterator[Client]:
    """A chain of two models that want it, `first` and `second`, and one that does not, `daily`."""
    with clickhouse_connect.get_client(dsn=own_clickhouse_url) as client:
        client.command("drop database if exists nova sync")
        client.command("create database nova")
        client.command("create table nova.source (x UInt64) engine = MergeTree order by x")
        for name in ("first", "second", "daily"):
            client.command(f"create table nova.{name} (x UInt64) engine = MergeTree order by x")
        make_view(client, "first", "source", FIRST)
        make_view(client, "second", "first", SECOND)
        make_view(client, "daily", "source", "")
        yield client
        client.command("drop database nova sync")


def make_view(client: Client, name: str, source: str, comment: str) -> None:
    client.command(f"drop view if exists nova.{name}_mv sync")
    client.command(
        f"create materialized view nova.{name}_mv {REFRESHED} to nova.{name} empty"
        f" as select max(x) as x from nova.{source} comment '{comment}'"
    )


def values(client: Client) -> dict[str, int]:
    """What each model says, 0 when it was never refreshed."""
    return {
        name: int(client.query(f"select max(x) from nova.{name}").result_rows[0][0])
        for name in ("first", "second", "daily")
    }


@pytest.fixture
def settings(own_clickhouse_url: str, redis_url: str) -> Settings:
    return settings_on(clickhouse_url=own_clickhouse_url, redis_url=redis_url)


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> LogCapture:
    """What the worker logs, however other tests have set up logging for the process."""
    captured = LogCapture()
    monkeypatch.setattr(
        refreshing,
        "log",
        structlog.wrap_logger(
            None,
            processors=[captured],
            wrapper_class=structlog.make_filtering_bound_logger("debug"),
            cache_logger_on_first_use=False,
        ),
    )
    return captured


def word(txid: int, *tables: str) -> bytes:
    """What the landing worker says."""
    return msgspec.json.encode(LandedRows(txid, list(tables)))


def eventually(check: Callable[[], bool], seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while not check():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_a_chain_is_refreshed_in_its_order_and_nothing_else(
    settings: Settings, clickhouse: Client
) -> None:
    clickhouse.command("insert into nova.source values (7)")
    with Refresher(settings) as refresher:
        assert refresher.refresh() == ["first_mv", "second_mv"]
    assert values(clickhouse) == {"first": 7, "second": 7, "daily": 0}


def test_only_what_is_made_of_what_landed_is_refreshed(
    settings: Settings, clickhouse: Client
) -> None:
    make_view(clickhouse, "daily", "source", "refreshed after landing of posts, step 1")
    clickhouse.command("insert into nova.source values (7)")
    with Refresher(settings) as refresher:
        assert refresher.refresh(frozenset({"users"})) == []
        assert refresher.is_complete
        assert refresher.refresh(frozenset({"posts", "users"})) == ["daily_mv"]
        assert values(clickhouse) == {"first": 0, "second": 0, "daily": 7}
        assert refresher.refresh(frozenset({"events"})) == ["first_mv", "second_mv"]
        assert refresher.refresh(None) == ["daily_mv", "first_mv", "second_mv"]


def test_a_dictionary_is_loaded_after_what_it_is_made_of(
    settings: Settings, clickhouse: Client
) -> None:
    """Its own lifetime is an hour."""
    clickhouse.command(
        "create dictionary nova.third (x UInt64, known UInt8 default 1) primary key x"
        " source(clickhouse(query 'select x, 1 as known from nova.second')) layout(hashed())"
        " lifetime(3600) comment 'refreshed after landing of events, videos, step 3'"
    )
    known = "select dictHas('nova.third', toUInt64(7))"
    assert clickhouse.query(known).result_rows == [(0,)]
    clickhouse.command("insert into nova.source values (7)")
    with Refresher(settings) as refresher:
        assert refresher.refresh() == ["first_mv", "second_mv", "third"]
    assert clickhouse.query(known).result_rows == [(1,)]


def test_a_dictionary_older_than_its_lifetime_is_loaded_without_a_landing(
    settings: Settings, clickhouse: Client
) -> None:
    for name, seconds in (("brief", 1), ("lasting", 3_600)):
        clickhouse.command(
            f"create dictionary nova.{name} (x UInt64, known UInt8 default 1) primary key x"
            " source(clickhouse(query 'select x, 1 as known from nova.source')) layout(hashed())"
            f" lifetime({seconds})"
        )
        clickhouse.command(f"system reload dictionary nova.{name}")
    clickhouse.command("insert into nova.source values (7)")

    def known(name: str) -> bool:
        return bool(clickhouse.command(f"select dictHas('nova.{name}', toUInt64(7))"))

    stop = Event()
    worker = Thread(target=work, args=(settings, stop), daemon=True)
    worker.start()
    try:
        assert eventually(lambda: known("brief"))
        assert not known("lasting")
    finally:
        stop.set()
        worker.join(timeout=20)


def test_a_model_that_cannot_be_refreshed_keeps_its_rows_and_stops_no_other(
    settings: Settings, clickhouse: Client, said: LogCapture
) -> None:
    clickhouse.command("insert into nova.source values (7)")
    with Refresher(settings) as refresher:
        refresher.refresh()
        clickhouse.command("drop view nova.first_mv sync")
        clickhouse.command(
            f"create materialized view nova.first_mv {REFRESHED} to nova.first empty as"
            " select throwIf(max(x) > 0) + max(x) as x from nova.source"
            f" comment '{FIRST}'"
        )
        clickhouse.command("insert into nova.source values (8)")
        for _ in range(3):
            assert refresher.refresh() == ["second_mv"]
            assert not refresher.is_complete
        assert values(clickhouse) == {"first": 7, "second": 7, "daily": 0}
        assert [(line["event"], line["log_level"]) for line in said.entries] == [
            ("a model is not refreshed", "warning")
        ]

        make_view(clickhouse, "first", "source", FIRST)
        said.entries.clear()
        for _ in range(2):
            refresher.refresh()
        assert [line["event"] for line in said.entries] == ["a model is refreshed again"]
        assert refresher.is_complete
    assert values(clickhouse) == {"first": 8, "second": 8, "daily": 0}


def test_a_clickhouse_that_is_away_is_an_error_of_its_own() -> None:
    with Refresher(settings_on()) as refresher, pytest.raises(TRANSIENT):
        refresher.refresh()


def test_without_redis_nobody_can_say_what_has_landed() -> None:
    ear = Ear(settings_on())
    assert ear.landed(0.1) == ANYTHING
    ear.close()


def test_words_of_landings_are_heard_once_and_together(settings: Settings) -> None:
    ear = Ear(settings)
    assert ear.landed(0.1) == ANYTHING  # whatever landed before it listened
    assert not ear.landed(0.1)
    with redis.Redis.from_url(settings.redis_url) as client:
        client.publish(LANDED_ROWS_CHANNEL, word(5, "events"))
        client.publish(LANDED_ROWS_CHANNEL, word(6, "events", "posts"))
        heard = Landed()
        for _ in range(20):
            heard = heard.and_then(ear.landed(0.1))
        assert heard == Landed(frozenset({"events", "posts"}), 6)
        client.publish(LANDED_ROWS_CHANNEL, "5")  # of a worker that says it otherwise
        assert eventually(lambda: ear.landed(0.1) == ANYTHING)
    ear.close()


async def test_a_line_that_is_dead_is_noticed(settings: Settings) -> None:
    """Nobody closed it: there is no error, and no word."""
    async with Proxy(settings.redis_url, free_port()) as line:
        ear = Ear(msgspec.structs.replace(settings, redis_url=line.url))
        for heard in (ANYTHING, NOTHING, NOTHING):
            assert await asyncio.to_thread(ear.landed, 0.3) == heard
        line.slow(3_600)
        assert await asyncio.to_thread(ear.landed, 0.3) == NOTHING  # it may be idle
        assert await asyncio.to_thread(ear.landed, DEAF_SECONDS + 0.3) == ANYTHING
        line.mend()
        for heard in (ANYTHING, NOTHING):
            assert await asyncio.to_thread(ear.landed, 0.3) == heard
        ear.close()


@pytest.fixture
def worker(settings: Settings, clickhouse: Client) -> Iterator[redis.Redis]:
    """A worker that has refreshed once; Redis."""
    stop = Event()
    thread = Thread(target=work, args=[settings, stop])
    with redis.Redis.from_url(settings.redis_url) as client:
        client.set(LANDED_KEY, 1)
        client.delete(REFRESHED_KEY)
        thread.start()
        try:
            assert eventually(lambda: client.get(REFRESHED_KEY) == b"1")
            yield client
        finally:
            stop.set()
            thread.join()
            client.delete(LANDED_KEY, REFRESHED_KEY)


def test_what_landed_without_a_word_is_refreshed_before_it_is_told(
    worker: redis.Redis, clickhouse: Client
) -> None:
    clickhouse.command("insert into nova.source values (7)")
    worker.set(LANDED_KEY, 2)

    def is_told() -> bool:
        told = worker.get(REFRESHED_KEY)
        assert values(clickhouse)["second"] == 7 or told == b"1"
        return told == b"2"

    assert eventually(is_told)


def test_a_word_is_told_as_far_as_it_reaches(worker: redis.Redis, clickhouse: Client) -> None:
    """What has landed meanwhile is told when its own word has been refreshed by."""
    worker.set(LANDED_KEY, 3)
    worker.publish(LANDED_ROWS_CHANNEL, word(2, "events"))
    assert eventually(lambda: worker.get(REFRESHED_KEY) != b"1", seconds=4)
    assert worker.get(REFRESHED_KEY) == b"2"


def test_how_far_it_is_ends_when_it_is_not_told_again(
    worker: redis.Redis, clickhouse: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An idle worker tells it again; one that cannot refresh does not."""
    monkeypatch.setattr("api.workers.refreshing.REFRESHED_KEPT_SECONDS", 3)
    time.sleep(5)
    assert worker.get(REFRESHED_KEY) == b"1"
    clickhouse.command("drop view nova.first_mv sync")
    clickhouse.command(
        f"create materialized view nova.first_mv {REFRESHED} to nova.first empty as"
        " select throwIf(1) + max(x) as x from nova.source"
        f" comment '{FIRST}'"
    )
    worker.set(LANDED_KEY, 2)
    worker.publish(LANDED_ROWS_CHANNEL, word(2, "events"))
    assert eventually(lambda: worker.get(REFRESHED_KEY) is None)


@pytest.mark.parametrize("transport", ["pull", "kafka"])
def test_the_worker_refreshes_what_it_hears_of_and_ends_when_told(
    settings: Settings, clickhouse: Client, transport: str
) -> None:
    """With Kafka nobody tells: it refreshes every second."""
    given = msgspec.structs.replace(settings, cdc=transport)
    worker = subprocess.Popen(
        [sys.executable, "-m", "api.workers.refreshing"], env=child_environment(given)
    )
    try:
        with redis.Redis.from_url(settings.redis_url) as client:
            for number in (3, 4):
                clickhouse.command(f"insert into nova.source values ({number})")
                heard = lambda: client.publish(LANDED_ROWS_CHANNEL, word(1, "events")) > 0  # noqa: E731
                assert transport == "kafka" or eventually(heard)
                assert eventually(lambda number=number: values(clickhouse)["second"] == number)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(10) == 0
    finally:
        worker.kill()
        worker.wait()
