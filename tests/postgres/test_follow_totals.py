"""Followers and followings: always what a recount gives, however follows come and go."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg

Connection = psycopg.Connection[Any]

COUNT_FOLLOWS = Path(__file__).parents[2] / "postgres" / "repeatable" / "count_follows.sql"
USERS = 6

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
                function = rnd.choice(["follow", "follow", "follow", "unfollow", "block"])
                connection.execute(f"select app.{function}_user(%s, %s)", pair)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(act, range(8), timeout=120))
    assert_totals_equal_recount(postgres)


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
