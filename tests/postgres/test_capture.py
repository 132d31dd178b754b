"""Change capture: what the landing worker may rely on."""

from __future__ import annotations

import threading
import time
from typing import Any

import psycopg
import pytest

Connection = psycopg.Connection[Any]


def one(connection: Connection, query: str) -> Any:
    row = connection.execute(query).fetchone()
    assert row is not None
    return row if len(row) > 1 else row[0]


def wait_until_blocked(connection: Connection, pid: int) -> None:
    deadline = time.monotonic() + 10
    while not one(connection, f"select cardinality(pg_blocking_pids({pid})) > 0"):
        assert time.monotonic() < deadline, "nobody waits"
        time.sleep(0.01)


def test_an_update_gets_a_new_version_whatever_it_says(world: Connection) -> None:
    before = one(world, "select _txid, _version from app.videos where id = 1")
    world.execute("update app.videos set title = 'new', _txid = 1, _version = 1 where id = 1")
    after = one(world, "select _txid, _version from app.videos where id = 1")
    assert after > before
    assert after[1] > before[1]


def test_versions_follow_the_row_lock_and_not_the_start(
    postgres_url: str, world: Connection
) -> None:
    """
    Two transactions update one row against the order in which they started.

    The one that commits last is the truth and must have the larger version, although its _txid is
    the smaller one.
    """
    with (
        psycopg.connect(postgres_url) as early,
        psycopg.connect(postgres_url) as late,
    ):
        early_txid = one(early, "select pg_current_xact_id()::text::bigint")
        late.execute("update app.videos set title = 'late' where id = 1")
        late_row = one(late, "select _txid, _version from app.videos where id = 1")

        waiting = threading.Thread(
            target=early.execute, args=("update app.videos set title = 'early' where id = 1",)
        )
        waiting.start()
        wait_until_blocked(world, early.info.backend_pid)
        late.commit()
        waiting.join(10)
        early.commit()

    txid, version, title = one(world, "select _txid, _version, title from app.videos where id = 1")
    assert title == "early"
    assert txid == early_txid < late_row[0]
    assert version > late_row[1]


def test_the_settled_view_hides_what_a_running_transaction_could_still_precede(
    postgres_url: str, world: Connection
) -> None:
    """A row is committed, yet a smaller _txid may still appear: a cursor must not pass it."""
    with psycopg.connect(postgres_url) as writer:
        writer.execute("insert into app.users (id) values (100)")
        world.execute("insert into app.users (id) values (101)")

        seen = world.execute("select id from app.settled_users where id >= 100 order by id")
        assert seen.fetchall() == []

        writer.commit()
        seen = world.execute("select id from app.settled_users where id >= 100 order by id")
        assert seen.fetchall() == [(100,), (101,)]


def test_a_rolled_back_transaction_leaves_nothing_and_holds_nothing_back(
    postgres_url: str, world: Connection
) -> None:
    with psycopg.connect(postgres_url) as writer:
        writer.execute("insert into app.users (id) values (100)")
        world.execute("insert into app.users (id) values (101)")
        writer.rollback()
    seen = world.execute("select id from app.settled_users where id >= 100")
    assert seen.fetchall() == [(101,)]


def test_a_cursor_over_the_settled_view_misses_nothing_while_writers_race(
    postgres_url: str, world: Connection
) -> None:
    """Four writers hold their transactions open for random times; a reader follows by _txid."""
    done = threading.Event()

    def write(number: int) -> None:
        with psycopg.connect(postgres_url) as connection:
            for n in range(40):
                user = 1000 + number * 100 + n
                connection.execute("insert into app.users (id) values (%s)", (user,))
                connection.execute("select pg_sleep(%s)", ((user * 7919 % 10) / 1000,))
                if n % 5:
                    connection.commit()
                else:
                    connection.rollback()

    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for writer in writers:
        writer.start()
    threading.Thread(target=lambda: ([w.join() for w in writers], done.set())).start()

    cursor, landed, last_round = 0, [], False
    while True:
        rows = world.execute(
            "select id, _txid from app.settled_users where id >= 1000 and _txid > %s", (cursor,)
        ).fetchall()
        landed += [user for user, _ in rows]
        cursor = max([cursor, *(txid for _, txid in rows)])
        if last_round:
            break
        last_round = done.wait(0.005)

    written = world.execute("select id from app.users where id >= 1000 order by id").fetchall()
    assert len(written) == 4 * 32
    assert sorted(landed) == [user for (user,) in written]


@pytest.mark.parametrize(
    "statement", ["update app.events set device = ''", "delete from app.events"]
)
def test_events_are_append_only(ingest: Any, event: Any, world: Connection, statement: str) -> None:
    """A stream is landed and counted once; a change would never arrive."""
    ingest(event())
    with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
        world.execute(statement)
