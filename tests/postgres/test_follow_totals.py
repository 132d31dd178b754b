"""Followers and followings: always what a recount gives, however follows come and go."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.postgres.conftest import until_blocked

Connection = psycopg.Connection[Any]

FILES = Path(__file__).parents[2] / "postgres"
COUNT_FOLLOWS = FILES / "repeatable" / "count_follows.sql"
END_FOLLOWS = FILES / "migrations" / "0021_end_follows_beside_blocks.sql"
USERS = 6

BLOCKED_FOLLOWS = """
select count(*)
from app.follows
inner join app.blocks
    on
        (blocker_id, blocked_id) in ((follower_id, followee_id), (followee_id, follower_id))
        and not blocks.deleted
where not follows.deleted
"""

RECOUNT = """
select user_id, sum(followers), sum(followings)
from (
    select followee_id as user_id, 1 as followers, 0 as followings
    from app.follows where not deleted
    union all
    select follower_id, 0, 1 from app.follows where not deleted
) as ends
group by user_id
order by user_id
"""
HIDING = "select is_hidden, hidden_txid from app.{}"
TOTALS = """
select user_id, followers, followings from app.user_totals
where followers > 0 or followings > 0
order by user_id
"""


def assert_totals_equal_recount(connection: Connection) -> None:
    totals = connection.execute(TOTALS).fetchall()
    assert totals == connection.execute(RECOUNT).fetchall()
    assert totals


def test_follows_unfollows_and_blocks_at_once_end_equal_to_a_recount(
    postgres_url: str, postgres: Connection
) -> None:
    """Few users, so that everybody meets everybody; a deadlock would raise."""
    postgres.execute("insert into app.users (id) select generate_series(1, %s)", (USERS,))

    def act(seed: int) -> None:
        rnd = random.Random(seed)
        quick_to_judge = "-c deadlock_timeout=20ms"
        with psycopg.connect(postgres_url, autocommit=True, options=quick_to_judge) as connection:
            for _ in range(60):
                pair = rnd.sample(range(1, USERS + 1), 2)
                function = rnd.choice(["follow"] * 3 + ["unfollow", "block", "unblock", "unblock"])
                try:
                    connection.execute(f"select app.{function}_user(%s, %s)", pair)
                except psycopg.Error as exc:
                    assert (exc.sqlstate, function) == ("NV403", "follow"), exc

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(act, range(8), timeout=120))
    assert_totals_equal_recount(postgres)
    assert postgres.execute(BLOCKED_FOLLOWS).fetchone() == (0,)


@pytest.mark.parametrize("first", ["follow", "block"])
@pytest.mark.parametrize("blocker", [1, 2])
def test_a_follow_and_a_block_at_once_leave_no_follow_beside_a_block(
    postgres_url: str, postgres: Connection, first: str, blocker: int
) -> None:
    """The second comes while the first is not committed yet; it has to wait for what came of it."""
    postgres.execute("insert into app.users (id) values (1), (2)")
    calls = {
        "follow": "select app.follow_user(1, 2)",
        "block": f"select app.block_user({blocker}, {3 - blocker})",
    }
    query = calls.pop(first)
    (second,) = calls.values()

    def answer() -> str | None:
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            try:
                connection.execute(second)
            except psycopg.Error as exc:
                return exc.sqlstate
        return None

    with ThreadPoolExecutor(1) as pool:
        with psycopg.connect(postgres_url) as connection:
            connection.execute(query)
            waiting = pool.submit(answer)
            until_blocked(postgres, [waiting])
        assert waiting.result(30) == ("NV403" if first == "block" else None)

    assert postgres.execute(BLOCKED_FOLLOWS).fetchone() == (0,)
    assert postgres.execute("select count(*) from app.blocks where not deleted").fetchone() == (1,)


def test_a_lifted_block_knows_of_one_the_other_way_that_is_being_made(
    postgres_url: str, postgres: Connection
) -> None:
    """And who decides later has the larger number, whoever began first."""
    postgres.execute("insert into app.users (id) values (1), (2)")
    postgres.execute("select app.block_user(1, 2)")

    def lift() -> tuple[Any, ...] | None:
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            return connection.execute(HIDING.format("unblock_user(1, 2)")).fetchone()

    with ThreadPoolExecutor(1) as pool:
        with psycopg.connect(postgres_url) as connection:
            first = connection.execute(HIDING.format("block_user(2, 1)")).fetchone()
            waiting = pool.submit(lift)
            until_blocked(postgres, [waiting])
        second = waiting.result(30)

    assert first is not None
    assert second is not None
    assert (first[0], second[0]) == (True, True)
    assert second[1] > first[1]
    third = postgres.execute(HIDING.format("unblock_user(2, 1)")).fetchone()
    assert third is not None
    assert third[0] is False
    assert third[1] > second[1]
    # Again: nothing is decided anew, and the same is told.
    assert postgres.execute(HIDING.format("unblock_user(2, 1)")).fetchone() == third


def test_bulk_statements_are_counted(postgres: Connection) -> None:
    postgres.execute("insert into app.users (id) select generate_series(1, 100)")
    postgres.execute(
        "insert into app.follows (follower_id, followee_id, deleted)"
        " select a, b, (a + b) % 7 = 0 from generate_series(1, 100) a, generate_series(1, 100, 9) b"
        " where a <> b"
    )
    assert_totals_equal_recount(postgres)
    postgres.execute("update app.follows set deleted = not deleted where follower_id % 3 = 0")
    assert_totals_equal_recount(postgres)
    postgres.execute("delete from app.follows where followee_id = 10")
    assert_totals_equal_recount(postgres)


def test_a_database_that_never_counted_is_counted_once(postgres: Connection) -> None:
    """What the first migration with counters finds."""
    postgres.execute("insert into app.users (id) select generate_series(1, 3)")
    for name in ("inserted", "updated", "deleted"):
        postgres.execute(f"drop trigger count_{name}_follows on app.follows")
    postgres.execute("insert into app.follows values (1, 2), (3, 2), (2, 1)")
    assert postgres.execute(TOTALS).fetchall() == []

    for _ in range(2):
        postgres.execute(COUNT_FOLLOWS.read_bytes())
        assert_totals_equal_recount(postgres)


def test_follows_beside_blocks_of_before_are_ended(postgres: Connection) -> None:
    """Both ways; what stands beside no block, or a lifted one, goes on."""
    postgres.execute("insert into app.users (id) select generate_series(1, 5)")
    postgres.execute(
        "insert into app.follows (follower_id, followee_id) "
        "values (1, 2), (2, 1), (3, 1), (1, 4), (4, 5)"
    )
    postgres.execute(
        "insert into app.blocks (blocker_id, blocked_id, deleted) "
        "values (1, 2, false), (1, 3, false), (1, 4, true)"
    )
    rows = "select follower_id, followee_id, _version, _txid from app.follows"
    before = {row[:2]: row[2:] for row in postgres.execute(rows)}
    for _ in range(2):
        postgres.execute(END_FOLLOWS.read_bytes())
    after = {row[:2]: row[2:] for row in postgres.execute(rows)}

    live = postgres.execute("select follower_id, followee_id from app.follows where not deleted")
    assert set(live) == {(1, 4), (4, 5)}
    ended = {pair for pair in before if after[pair] != before[pair]}
    assert ended == {(1, 2), (2, 1), (3, 1)}
    assert min(after[pair] for pair in ended) > max(before.values())
    assert len({after[pair][1] for pair in ended}) == 1  # the second time changes nothing
    assert_totals_equal_recount(postgres)


def test_a_post_names_followers_up_to_a_limit_and_reads_no_more(postgres: Connection) -> None:
    postgres.execute("insert into app.users (id) select generate_series(1, 2000)")
    postgres.execute(
        "insert into app.follows (follower_id, followee_id, deleted)"
        " select n, 1, n > 1500 from generate_series(2, 2000) n"
    )
    postgres.execute("vacuum analyze app.follows")

    def followers(most: int) -> list[int] | None:
        row = postgres.execute(
            "select follower_ids from app.create_post(1, 'Hi', p_fan_out_max => %s)", (most,)
        ).fetchone()
        assert row is not None
        return row[0]

    assert sorted(followers(1499) or []) == list(range(2, 1501))
    read = (
        "select pg_stat_get_xact_tuples_returned('app.follows_followers_idx'::regclass),"
        " pg_stat_get_xact_tuples_returned('app.follows'::regclass)"
    )
    with postgres.transaction():
        before = postgres.execute(read).fetchone()
        assert followers(100) is None
        after = postgres.execute(read).fetchone()
    assert before is not None
    assert after == (before[0] + 101, before[1])


def test_a_follow_knows_when_it_last_ended(postgres_url: str) -> None:
    """Also after it was made again: who comes and goes is no new follower."""
    with psycopg.connect(postgres_url, autocommit=True) as postgres:
        postgres.execute("insert into app.users (id) values (1), (2)")

        def follow() -> tuple[bool, bool, bool]:
            row = postgres.execute(
                "select deleted, ended_at is null, coalesce(created_at > ended_at, true) "
                "from app.follows where follower_id = 1"
            ).fetchone()
            assert row is not None
            return row

        postgres.execute("select app.follow_user(1, 2)")
        assert follow() == (False, True, True)
        postgres.execute("select app.unfollow_user(1, 2)")
        assert follow() == (True, False, False)
        ended = postgres.execute("select ended_at from app.follows").fetchone()
        postgres.execute("select app.unfollow_user(1, 2)")
        postgres.execute("select app.follow_user(1, 2)")
        assert follow() == (False, False, True)
        assert postgres.execute("select ended_at from app.follows").fetchone() == ended
        postgres.execute("select app.block_user(2, 1)")
        assert follow() == (True, False, False)
        assert postgres.execute("select ended_at from app.follows").fetchone() != ended
