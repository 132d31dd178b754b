"""Pages of comments, newest first: nothing twice, nothing skipped, nothing read in vain."""

from __future__ import annotations

from typing import Any

import psycopg

Connection = psycopg.Connection[Any]

PAGE = "select comment_id, created_at from app.list_comments('video', 1, %s, %s, %s)"


def test_pages_hold_every_live_comment_once_newest_first(world: Connection) -> None:
    """Also where many were written at the same moment."""
    world.execute(
        """
        insert into app.comments (id, user_id, item_type, item_id, body, created_at, deleted)
        select n, 7, 'video', n % 2, 'Hi', timestamptz '2026-01-01Z' + n / 20 * interval '1 s',
            n % 10 = 1
        from generate_series(1, 200) as n
        """
    )
    walked: list[int] = []
    place: tuple[Any, Any] = (None, None)
    while page := world.execute(PAGE, (*place, 7)).fetchall():
        walked += [comment for comment, _ in page]
        place = (page[-1][1], page[-1][0])
    assert walked == [n for n in range(199, 0, -2) if n % 10 != 1]


def test_names_are_shown_unless_the_account_is_gone(world: Connection) -> None:
    world.execute("update app.users set username = 'ann' where id = 7")
    world.execute("update app.users set username = 'bob' where id = 8")
    world.execute("select app.comment_on_item(7, 'video', 1, 'One')")
    world.execute("select app.comment_on_item(8, 'video', 1, 'Two')")
    world.execute("update app.users set deleted = true where id = 8")
    rows = world.execute(
        "select user_id, username, body from app.list_comments('video', 1, null, null, 10)"
    ).fetchall()
    assert rows == [(8, None, "Two"), (7, "ann", "One")]


def test_a_page_reads_its_own_rows_only(world: Connection) -> None:
    """Not all comments of a popular item, to sort them; whether or not they were analysed."""
    world.execute(
        "insert into app.comments (user_id, item_type, item_id, body, created_at)"
        " select 7, 'video', 1, 'Hi', now() - n * interval '1 s' from generate_series(1, 5000) n"
    )
    read = (
        "select seq_tup_read, idx_tup_fetch from pg_stat_xact_user_tables"
        " where relid = 'app.comments'::regclass"
    )
    for _ in range(2):
        with world.transaction():
            before = world.execute(read).fetchone()
            first = world.execute(PAGE, (None, None, 10)).fetchall()
            other = world.execute(PAGE, ("2126-01-01", 5, 10)).fetchall()
            after = world.execute(read).fetchone()
        assert before is not None
        assert after == (before[0], before[1] + len(first) + len(other))
        assert len(first) == len(other) == 10
        world.execute("analyze app.comments")
