"""The landing worker, step by step; tests/chaos has the same under fire."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread
from unittest.mock import Mock

import clickhouse_connect
import msgspec
import psycopg
import pytest
import redis
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from api.migrate import migrate_clickhouse
from api.settings import Settings
from api.stack.clickhouse import ClickHouseServer
from api.stack.migrations import cluster_variables
from api.stack.ports import free_port
from api.workers import LANDED_KEY, LANDED_ROWS_CHANNEL, LandedRows
from api.workers.capture import CaptureSource, Span
from api.workers.landing import (
    LAG_KEY,
    Landing,
    LandingError,
    LandingTimeoutError,
    land_until_settled,
)
from api.workers.windows import LandingStore, Window
from tests.clickhouse.equality import EVENTS as EVENTS_PAIR
from tests.clickhouse.equality import ROLLUPS, assert_landed_exactly, differences
from tests.conftest import child_environment, settings_on

ROOT = Path(__file__).parents[2]

EVENTS = """
insert into app.events (
    idempotent_key, event_time, user_id, item_id, item_type, author_id, action, watch_ms, completion
)
select
    %(first)s + i, date_trunc('second', now()) - make_interval(secs => i * 40 %% 900000),
    i %% 7, i %% 5, 'video', i %% 3, 'view', i, (i %% 5) / 10.0
from generate_series(1, %(rows)s) as i
"""


@pytest.fixture(scope="module")
def engine(server_root: Path) -> Iterator[ClickHouseServer]:
    """A ClickHouse of this module's own: its tests land, and empty, whole tables."""
    server = ClickHouseServer(server_root / "landing", free_port(), "the 'engine' \\ password")
    server.start()
    migrate_clickhouse(server.url, ROOT, variables=cluster_variables(""))
    yield server
    server.stop()


@pytest.fixture
def clickhouse(engine: ClickHouseServer) -> Iterator[Client]:
    with clickhouse_connect.get_client(dsn=engine.url, autogenerate_session_id=False) as client:
        for (table,) in client.query(
            "select name from system.tables where database = 'raw' "
            "and engine like '%MergeTree' and name != 'schema_migrations'"
        ).result_rows:
            client.command(f"truncate table raw.{table}")
        yield client


@pytest.fixture
def settings(postgres_url: str, engine: ClickHouseServer, clickhouse: Client) -> Settings:
    """Without Redis, unless a test says otherwise."""
    return settings_on(postgres_url=postgres_url, clickhouse_url=engine.url, landing_interval_ms=20)


@pytest.fixture
def postgres(postgres_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("select app.ensure_event_partitions(now() - interval '20 days', now())")
        yield connection


def add_events(postgres: psycopg.Connection, first: int, rows: int) -> None:
    postgres.execute(EVENTS, {"first": first, "rows": rows})


def count(clickhouse: Client, table: str) -> int:
    return int(clickhouse.query(f"select count() from raw.{table}").result_rows[0][0])


def test_every_column_of_every_table_lands_and_landing_again_changes_nothing(
    settings: Settings, postgres: psycopg.Connection
) -> None:
    nasty = "tab\t\\ 'quote' \"double\" {0} $postgres$ \r\n é 漢 \x01"
    postgres.execute("insert into app.users (id, username) values (1, null), (2, %s)", [nasty])
    postgres.execute(
        "insert into app.users (id, created_at) values (3, '2001-02-03 04:05:06.789999+05')"
    )
    postgres.execute("insert into app.follows (follower_id, followee_id) values (1, 2), (2, 1)")
    postgres.execute("update app.follows set deleted = true where follower_id = 2")
    postgres.execute("insert into app.blocks (blocker_id, blocked_id) values (1, 3)")
    postgres.execute("insert into app.sounds (id, name, is_original) values (5, %s, true)", [nasty])
    postgres.execute(
        "insert into app.videos (id, creator_id, sound_id, category, title, description, "
        "hashtags, duration_ms, status, published_at, thumbnail_url) values "
        "(1, 1, 5, 'pets', %(text)s, %(text)s, %(tags)s, 9000, 'published', now(), 'a.jpg'), "
        "(2, 1, null, null, '', '', '{}', 0, 'uploading', null, '')",
        {"text": nasty, "tags": ["a", 'b "c"', "d\\e", "漢"]},
    )
    postgres.execute("insert into app.video_engagement (video_id, completions) values (1, 0.25)")
    postgres.execute("insert into app.not_interested (user_id, video_id) values (1, 2), (2, 1)")
    postgres.execute("update app.not_interested set deleted = true where user_id = 2")
    postgres.execute("insert into app.posts (id, author_id, body) values (1, 1, %s)", [nasty])
    postgres.execute("insert into app.post_engagement (post_id, dwell_ms) values (1, 7)")
    postgres.execute("insert into app.not_interested_posts (user_id, post_id) values (2, 1)")
    postgres.execute(
        "select app.register_deep_recall_model('two_tower-128d', 'tensorflow_serving', %s)",
        ['{"recall_at_50": "0.25"}'],
    )
    add_events(postgres, 0, 3_000)
    postgres.execute(
        "insert into app.events (idempotent_key, event_time, user_id, item_id, item_type, "
        "author_id, action, dwell_ms, device, app_ver, feed_request_id) values (-9, "
        "date_trunc('second', now()), 1, 1, 'post', 1, 'dwell', 70, %s, '1.2.3', "
        "'6f0d0c9e-3a53-4ae5-94d5-2a7bd6b3c0a1')",
        [nasty],
    )

    landed = land_until_settled(settings, 30)
    assert landed["events"] == 3_001
    assert_landed_exactly(settings.postgres_url, settings.clickhouse_url)

    assert not any(land_until_settled(settings, 30).values())
    assert_landed_exactly(settings.postgres_url, settings.clickhouse_url)


def test_a_window_stored_and_not_recorded_is_repeated_and_counts_once(
    settings: Settings,
    postgres: psycopg.Connection,
    clickhouse: Client,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    land_until_settled(settings, 30)
    add_events(postgres, 0, 2_000)
    monkeypatch.setattr(
        LandingStore, "close_window", lambda *_: (_ for _ in ()).throw(OSError("crash"))
    )
    with Landing(settings) as landing, pytest.raises(OSError, match="crash"):
        landing.run_once()
    monkeypatch.undo()
    assert count(clickhouse, "events") == 2_000
    add_events(postgres, 10_000, 50)  # arrives after the crash: another window's

    assert land_until_settled(settings, 30)["events"] == 2_050
    assert_landed_exactly(settings.postgres_url, settings.clickhouse_url)


def counted_parts(clickhouse: Client) -> set[tuple[str, str]]:
    """Table and path of every part of events and of what is counted from them."""
    names = ", ".join(f"'{pair.name}'" for pair in [EVENTS_PAIR, *ROLLUPS])
    rows = clickhouse.query(
        "select table, path from system.parts "
        f"where database = 'raw' and active and table in ({names})"
    ).result_rows
    return {(table, path) for table, path in rows}


@pytest.mark.parametrize("is_repaired", [True, False])
def test_a_block_that_is_known_but_missing_is_counted_anew(
    is_repaired: bool,
    settings: Settings,
    postgres: psycopg.Connection,
    clickhouse: Client,
    engine: ClickHouseServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    The engine notes a block as known just before it is in place; a kill between loses it.

    That moment is too short to hit, so parts are taken away after it. Without the repair the
    repeat is skipped as known, which shows that the danger is there.
    """
    add_events(postgres, 0, 500)
    land_until_settled(settings, 30)
    clickhouse.command("system stop merges")  # until the engine starts again
    before = counted_parts(clickhouse)
    add_events(postgres, 10_000, 2_000)
    postgres.execute(
        "insert into app.events (idempotent_key, event_time, user_id, item_id, item_type, "
        "author_id, action) select 50000 + i, date_trunc('second', now()), 1, i, 'post', 2, "
        "'like' from generate_series(1, 100) as i"
    )
    monkeypatch.setattr(LandingStore, "close_window", lambda *_: (_ for _ in ()).throw(OSError()))
    with Landing(settings) as landing, pytest.raises(OSError):
        landing.run_once()
    monkeypatch.undo()
    stored = counted_parts(clickhouse) - before
    assert {table for table, _ in stored} == {"events", *(rollup.name for rollup in ROLLUPS)}
    engine.kill()
    for _, path in stored:
        shutil.rmtree(path)
    engine.start()

    if not is_repaired:
        monkeypatch.setattr(LandingStore, "repair", lambda *_: None)
    land_until_settled(settings, 30)
    wrong = differences(settings.postgres_url, settings.clickhouse_url, [EVENTS_PAIR, *ROLLUPS])
    assert set(wrong) == (
        set() if is_repaired else {"events", *(rollup.name for rollup in ROLLUPS)}
    )


def test_a_recount_of_what_is_right_adds_nothing(
    settings: Settings, postgres: psycopg.Connection, clickhouse: Client
) -> None:
    """So the recounts in the repairs are the insert views' own."""
    postgres.execute(
        """
        insert into app.events (
            idempotent_key, event_time, user_id, item_id, item_type, author_id, action,
            dwell_ms, watch_ms, completion
        )
        select
            i,
            date_trunc('second', now()) - make_interval(secs => i * 400),
            i % 7,
            i % 5,
            case when i % 3 = 0 then 'post' else 'video' end,
            i % 4,
            a.action,
            i % 90,
            case when a.action = 'view' then i else 0 end,
            case when a.action = 'view' and i % 2 = 0 then (i % 10) / 10.0 end
        from generate_series(1, 4000) as i
        cross join lateral (
            select (array[
                'impression', 'view', 'dwell', 'like', 'unlike', 'comment', 'uncomment', 'share',
                'not_interested', 'profile_visit', 'follow_from_item'
            ])[i % 11 + 1] as action
        ) as a
        """
    )
    with Landing(settings) as landing:
        landing.run_once()
        _, store = landing.connect()
        [events] = [table for table in landing.tables if table.name == "events"]
        assert_landed_exactly(settings.postgres_url, settings.clickhouse_url)
        clickhouse.command("system stop merges")
        parts = "select sum(rows) from system.parts where database = 'raw' and active"
        before = clickhouse.query(parts).result_rows
        store.repair(events, landing.windows["events"])
        assert clickhouse.query(parts).result_rows == before
        clickhouse.command("system start merges")


def test_windows_end_with_a_whole_transaction(
    settings: Settings, postgres: psycopg.Connection, clickhouse: Client
) -> None:
    for number in range(8):
        add_events(postgres, number * 10_000, 400)
    add_events(postgres, 900_000, 3_000)
    small = msgspec.structs.replace(settings, landing_window_rows=1_000)

    assert land_until_settled(small, 30)["events"] == 6_200
    windows = clickhouse.query(
        "select expected_rows, is_done from raw.landing_windows final "
        "where source_table = 'events' order by from_txid"
    ).result_rows
    assert windows == [(1_200, 1), (1_200, 1), (3_800, 1)]
    assert_landed_exactly(settings.postgres_url, settings.clickhouse_url)


def test_an_open_transaction_holds_back_what_comes_after_it_and_the_lag_says_so(
    settings: Settings, postgres: psycopg.Connection, clickhouse: Client, redis_url: str
) -> None:
    told = msgspec.structs.replace(settings, redis_url=redis_url)
    with Landing(told) as landing:
        landing.run_once()
        with psycopg.connect(settings.postgres_url) as early:
            add_events(early, 0, 10)
            add_events(postgres, 5_000, 20)  # a later transaction commits first
            for _ in range(12):
                landing.run_once()
                time.sleep(0.1)
            assert count(clickhouse, "events") == 0
            with redis.Redis.from_url(redis_url) as client:
                lags = {
                    table.decode(): msgspec.json.decode(lag)
                    for table, lag in client.hgetall(LAG_KEY).items()  # type: ignore[union-attr]
                }
            assert lags["events"]["lag_ms"] >= 900
            assert lags["users"]["lag_ms"] < 900

            with pytest.raises(LandingTimeoutError, match="oldest writing transaction"):
                land_until_settled(told, 0.3)
            early.commit()
        landing.run_once()
        landing.run_once()
        assert landing.lags()["events"].lag_ms < 900
    assert_landed_exactly(settings.postgres_url, settings.clickhouse_url)


def landed_txid(redis_url: str) -> int:
    """What the worker has told everybody."""
    with redis.Redis.from_url(redis_url) as client:
        return int(client.get(LANDED_KEY) or -1)  # type: ignore[arg-type]


def txid_of(postgres: psycopg.Connection, statement: str) -> int:
    """Run a statement; its transaction's number."""
    with postgres.transaction():
        postgres.execute(statement)
        [txid] = postgres.execute("select pg_current_xact_id()::text::bigint").fetchone() or [0]
    return int(txid)


def test_rows_are_told_of_when_they_have_landed_and_nothing_else_is(
    settings: Settings, postgres: psycopg.Connection, clickhouse: Client, redis_url: str
) -> None:
    told = msgspec.structs.replace(settings, redis_url=redis_url)
    with Landing(told) as landing, redis.Redis.from_url(redis_url) as client:
        landing.run_once()
        channel = client.pubsub(ignore_subscribe_messages=True)
        channel.subscribe(LANDED_ROWS_CHANNEL)
        channel.get_message(timeout=0.2)
        landing.run_once()
        assert channel.get_message(timeout=0.2) is None
        postgres.execute("insert into app.users (id) values (1), (2)")
        landing.run_once()
        message = channel.get_message(timeout=5)
        assert message is not None
        word = msgspec.json.decode(message["data"], type=LandedRows)
        assert word == LandedRows(landed_txid(redis_url), ["users"])
        channel.close()


def test_a_worker_begins_with_a_word_about_every_table_and_repeats_what_redis_did_not_hear(
    settings: Settings,
    postgres: psycopg.Connection,
    clickhouse: Client,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("api.workers.landing.REPORT_SECONDS", 0.0)
    told = msgspec.structs.replace(settings, redis_url=redis_url)
    with Landing(told) as landing, redis.Redis.from_url(redis_url) as client:
        channel = client.pubsub(ignore_subscribe_messages=True)
        channel.subscribe(LANDED_ROWS_CHANNEL)
        channel.get_message(timeout=0.2)

        def heard() -> list[str]:
            message = channel.get_message(timeout=5)
            assert message is not None
            return msgspec.json.decode(message["data"], type=LandedRows).tables

        landing.run_once()
        assert heard() == sorted(table.name for table in landing.tables)
        postgres.execute("insert into app.users (id) values (1)")
        with monkeypatch.context() as deaf:
            deaf.setattr(redis.Redis, "publish", Mock(side_effect=redis.ConnectionError))
            landing.run_once()
        assert channel.get_message(timeout=0.2) is None
        landing.run_once()
        assert heard() == ["users"]
        channel.close()


def test_a_write_is_told_as_landed_once_it_is(
    settings: Settings, postgres: psycopg.Connection, clickhouse: Client, redis_url: str
) -> None:
    told = msgspec.structs.replace(settings, redis_url=redis_url)
    with Landing(told) as landing:
        landing.run_once()
        before = txid_of(postgres, "insert into app.users (id) values (1)")
        assert landed_txid(redis_url) < before
        landing.run_once()
        assert landed_txid(redis_url) >= before

        with psycopg.connect(settings.postgres_url) as early:
            running = early.execute("select pg_current_xact_id()::text::bigint").fetchone()
            later = txid_of(postgres, "insert into app.users (id) values (2)")
            landing.run_once()
            assert running
            assert before <= landed_txid(redis_url) < running[0] < later
        landing.run_once()
        assert landed_txid(redis_url) >= later

        # Whoever empties Redis is told again, though nothing moves.
        with redis.Redis.from_url(redis_url) as client:
            client.flushall()
        time.sleep(1.1)
        landing.run_once()
        assert landed_txid(redis_url) >= later


def test_one_table_that_lags_holds_back_what_is_told(
    settings: Settings, postgres: psycopg.Connection, clickhouse: Client, redis_url: str
) -> None:
    told = msgspec.structs.replace(settings, redis_url=redis_url)
    with Landing(told) as landing:
        landing.run_once()
        bad = txid_of(postgres, "insert into app.users (id, created_at) values (1, 'infinity')")
        later = txid_of(postgres, "insert into app.sounds (id) values (3)")
        for _ in range(2):  # the second repeats a window that is open
            with pytest.raises(ClickHouseError):
                landing.run_once()
            assert count(clickhouse, "sounds") == 1
            assert 0 <= landed_txid(redis_url) < bad
        postgres.execute("update app.users set created_at = now() where id = 1")
        for _ in range(2):
            landing.run_once()
        assert landed_txid(redis_url) >= later


def test_what_is_told_is_never_too_much(
    settings: Settings, postgres: psycopg.Connection, clickhouse: Client
) -> None:
    """Writers that overlap, roll back and outrun the windows; every number told is checked."""
    stop = Event()

    def write(number: int) -> None:
        dice = random.Random(number)
        with psycopg.connect(settings.postgres_url) as connection:
            while not stop.is_set():
                first = number * 10**9 + dice.randrange(10**8)
                connection.execute(EVENTS, {"first": first, "rows": dice.choice([1, 200, 1_500])})
                pair = dice.sample(range(1, 30), 2)
                connection.execute(
                    "insert into app.follows (follower_id, followee_id) values (%s, %s) "
                    "on conflict on constraint follows_pkey do update set deleted = false",
                    pair,
                )
                time.sleep(dice.choice([0, 0.01, 0.05]))
                if dice.random() < 0.2:
                    connection.rollback()
                else:
                    connection.commit()

    postgres.execute("insert into app.users (id) select generate_series(1, 30)")
    small = msgspec.structs.replace(settings, landing_window_rows=1_000)
    writers = [Thread(target=write, args=[number]) for number in (1, 2)]
    checked: set[int] = set()
    with Landing(small) as landing:
        for writer in writers:
            writer.start()
        try:
            began_at = time.monotonic()
            # A busy machine gets the time it needs to tell several numbers.
            while (passed := time.monotonic() - began_at) < 3 or (
                passed < 60 and len(checked) <= 3
            ):
                landing.run_once()
                txid = landing.landed_txid
                checked.add(txid)
                for table, key in (("events", "idempotent_key"), ("follows", "_version")):
                    rows = postgres.execute(
                        f"select {key} from app.{table} where _txid <= %s",
                        [txid],
                    ).fetchall()
                    there = clickhouse.query(
                        f"select {key} from raw.{table} where _txid <= {txid}"
                    ).result_rows
                    assert set(rows) <= set(there), f"{table} up to {txid}"
        finally:
            stop.set()
            for writer in writers:
                writer.join()
    assert len(checked) > 3


def test_only_one_of_two_workers_lands_and_both_can_wait_for_the_end(
    settings: Settings, postgres: psycopg.Connection
) -> None:
    add_events(postgres, 0, 100)
    with Landing(settings) as first, Landing(settings) as second:
        assert first.run_once().is_active
        assert not second.run_once().is_active
        assert second.is_settled(2**62)
        add_events(postgres, 1_000, 100)
        assert not second.is_settled(2**62)

        first.disconnect()
        # The lock is free when Postgres has noticed.
        deadline = time.monotonic() + 30
        while not (landed := second.run_once()).is_active and time.monotonic() < deadline:
            time.sleep(0.01)
        assert landed.rows == {"events": 100}
        assert not first.run_once().is_active


def test_a_worker_that_lost_its_lock_lands_nothing_more(
    settings: Settings, postgres: psycopg.Connection, clickhouse: Client
) -> None:
    with Landing(settings) as landing:
        landing.run_once()
        add_events(postgres, 0, 100)
        postgres.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where application_name = 'nova landing' and datname = current_database()"
        )
        with pytest.raises(psycopg.OperationalError):
            landing.run_once()
        assert count(clickhouse, "events") == 0
        assert landing.run_once().rows == {"events": 100}  # with a lock of its own again


def test_whoever_opens_a_window_first_decides_where_it_ends(
    settings: Settings, clickhouse: Client
) -> None:
    """A worker that wakes up after losing its lock must not cut windows of its own."""
    store = LandingStore(settings.clickhouse_url)
    first = store.open_window("events", "a/1/b", Span(100, 200, 7))
    late = store.open_window("events", "a/1/b", Span(100, 180, 5))
    assert late == first
    store.close_window(first)
    assert store.open_window("events", "a/1/b", Span(100, 190, 6)).is_done
    store.close()


def test_one_bad_row_does_not_keep_the_other_tables_waiting(
    settings: Settings, postgres: psycopg.Connection, clickhouse: Client
) -> None:
    postgres.execute("insert into app.blocks (blocker_id, blocked_id) select 1, 2 where false")
    postgres.execute("insert into app.users (id, created_at) values (1, 'infinity')")
    postgres.execute("insert into app.users (id) values (2)")
    postgres.execute("insert into app.sounds (id) values (3)")
    add_events(postgres, 0, 10)
    with Landing(settings) as landing:
        with pytest.raises(ClickHouseError) as raised:
            landing.run_once()
        assert raised.value.__notes__ == ["while landing users"]
        assert (count(clickhouse, "events"), count(clickhouse, "sounds")) == (10, 1)

        postgres.execute("update app.users set created_at = now() where id = 1")
        landing.run_once()  # the window that was open: the bad row has left it
        landing.run_once()
    assert_landed_exactly(settings.postgres_url, settings.clickhouse_url)


def test_another_postgres_is_refused_with_the_way_out(
    settings: Settings, postgres: psycopg.Connection, clickhouse: Client
) -> None:
    add_events(postgres, 0, 100)
    postgres.execute("insert into app.users (id, username) values (1, 'of the old one')")
    postgres.execute("insert into app.users (id) values (2), (3)")
    postgres.execute("insert into app.follows (follower_id, followee_id) values (1, 2), (2, 1)")
    postgres.execute("insert into app.blocks (blocker_id, blocked_id) values (1, 3)")
    postgres.execute("insert into app.videos (id, creator_id, title) values (1, 1, '')")
    postgres.execute("insert into app.not_interested (user_id, video_id) values (2, 1)")
    land_until_settled(settings, 30)

    # The same database on a new timeline: what a restore or a failover looks like from here.
    moved = pytest.MonkeyPatch()
    moved.setattr(CaptureSource, "identity", lambda _: "1/2/nova")
    try:
        with Landing(settings) as landing, pytest.raises(LandingError, match="--adopt"):
            landing.run_once()
        assert count(clickhouse, "events") == 100

        # In the meantime the new one has gone on, with versions that began again; blocks are as
        # they were, to the block that lands.
        add_events(postgres, 1_000, 10)
        postgres.execute("select setval('app.change_version', 1)")
        postgres.execute("update app.users set username = 'of the new one'")
        postgres.execute("update app.follows set deleted = true where follower_id = 1")
        postgres.execute("update app.not_interested set deleted = true")
        land_until_settled(settings, 30, new_source="replace")
        assert_landed_exactly(settings.postgres_url, settings.clickhouse_url)
        add_events(postgres, 2_000, 10)
        land_until_settled(settings, 30)  # adopted once, and for good
        assert_landed_exactly(settings.postgres_url, settings.clickhouse_url)
    finally:
        moved.undo()


def test_a_postgres_put_back_to_an_older_state_is_refused(
    settings: Settings, clickhouse: Client
) -> None:
    with Landing(settings) as landing:
        landing.run_once()
        _, store = landing.connect()
        source = landing.source
        ahead = Window(
            source_table="events",
            source=source,
            from_txid=0,
            to_txid=10**12,
            is_done=True,
            expected_rows=0,
            block_rows=1,
        )
        store.record(ahead, "from the future", is_done=True)
    with Landing(settings) as landing, pytest.raises(LandingError, match="older state"):
        landing.run_once()


def test_a_second_source_lands_whole_when_asked_to(
    settings: Settings, postgres: psycopg.Connection, clickhouse: Client
) -> None:
    add_events(postgres, 0, 100)
    store = LandingStore(settings.clickhouse_url)
    store.close_window(store.open_window("events", "another/1/nova", Span(0, 10**9, 5)))
    store.close()
    with pytest.raises(LandingError, match="another/1/nova"):
        land_until_settled(settings, 30)
    assert land_until_settled(settings, 30, new_source="add")["events"] == 100


def test_a_captured_table_without_a_landing_statement_is_an_error(
    settings: Settings, postgres: psycopg.Connection
) -> None:
    postgres.execute("create table app.badges (id bigint primary key, _txid bigint)")
    with Landing(settings) as landing, pytest.raises(LandingError, match=r"badges.*land_<table>"):
        landing.run_once()


def test_the_password_of_postgres_is_hidden(
    settings: Settings, engine: ClickHouseServer, clickhouse: Client, postgres: psycopg.Connection
) -> None:
    postgres.execute("insert into app.users (id) values (1)")
    land_until_settled(settings, 30)
    shown = str(clickhouse.query("select * from system.named_collections").result_rows)
    assert "HIDDEN" in shown
    assert postgres.info.password not in shown
    assert postgres.info.password.encode() not in engine.log_path.read_bytes()

    # A collection the server will not make: the error must not quote the statement.
    store = LandingStore(settings.clickhouse_url)
    with (
        pytest.MonkeyPatch.context() as refused,
        pytest.raises(LandingError, match="named collection") as raised,
    ):
        refused.setattr("api.workers.windows.literal", lambda value: f"broken '{value}")
        store.use_postgres(settings.postgres_url)
    store.close()
    assert postgres.info.password not in str(raised.value)
    assert raised.value.__cause__ is None


def test_the_program_waits_for_its_stores_lands_and_ends_on_sigterm(
    settings: Settings, postgres: psycopg.Connection, clickhouse: Client, tmp_path: Path
) -> None:
    land_until_settled(settings, 30)
    add_events(postgres, 0, 100)
    log = tmp_path / "landing.log"
    with log.open("wb") as output:
        worker = subprocess.Popen(
            [sys.executable, "-m", "api.workers.landing"],
            cwd=ROOT,
            env=child_environment(settings),
            stdout=output,
            stderr=output,
        )
    try:
        deadline = time.monotonic() + 30
        while count(clickhouse, "events") < 100 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert count(clickhouse, "events") == 100, log.read_text()
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(timeout=20) == 0
    finally:
        worker.kill()
        worker.wait()
    lines = [msgspec.json.decode(line) for line in log.read_bytes().splitlines()]
    landed = [line for line in lines if line["event"] == "window landed"]
    assert [(line["table"], line["rows"]) for line in landed] == [("events", 100)]
    assert lines[-1]["event"] == "landing ended"
