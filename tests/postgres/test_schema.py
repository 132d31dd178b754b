"""What holds for every table, now and after the next migration."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

Connection = psycopg.Connection[Any]

ROOT = Path(__file__).parents[2]

CAPTURED = {
    "users": ("entity", ["id"]),
    "follows": ("entity", ["follower_id", "followee_id"]),
    "blocks": ("entity", ["blocker_id", "blocked_id"]),
    "sounds": ("entity", ["id"]),
    "videos": ("entity", ["id"]),
    "video_engagement": ("entity", ["video_id"]),
    "not_interested": ("entity", ["user_id", "video_id"]),
    "not_interested_posts": ("entity", ["user_id", "post_id"]),
    "posts": ("entity", ["id"]),
    "post_engagement": ("entity", ["post_id"]),
    "deep_recall_models": ("entity", ["model_version"]),
    "events": ("stream", ["event_time", "idempotent_key"]),
}


@pytest.fixture(scope="module")
def shared(shared_postgres_url: str) -> Iterator[Connection]:
    """One database for all tests that change nothing, or fail to."""
    with psycopg.connect(shared_postgres_url, autocommit=True) as connection:
        connection.execute("insert into app.users (id) values (1), (7)")
        connection.execute(
            "insert into app.videos (id, creator_id, status, published_at)"
            " values (1, 1, 'published', now())"
        )
        yield connection


def test_every_table_and_every_column_says_what_it_is(shared: Connection) -> None:
    undescribed = shared.execute(
        """
        select tables.relname, columns.attname
        from pg_class as tables
        left join pg_attribute as columns
            on tables.oid = columns.attrelid and columns.attnum > 0 and not columns.attisdropped
        where
            tables.relnamespace = 'app'::regnamespace
            and tables.relkind in ('r', 'p')
            and (
                obj_description(tables.oid, 'pg_class') is null
                or col_description(tables.oid, columns.attnum) is null
            )
        """
    ).fetchall()
    assert undescribed == []


def test_every_function_and_view_says_what_it_is(shared: Connection) -> None:
    undescribed = shared.execute(
        """
        select proname from pg_proc
        where pronamespace = 'app'::regnamespace and obj_description(oid, 'pg_proc') is null
        union all
        select relname from pg_class
        where
            relnamespace = 'app'::regnamespace
            and relkind = 'v'
            and obj_description(oid, 'pg_class') is null
        """
    ).fetchall()
    assert undescribed == []


def test_constraints_are_named_as_sentences(shared: Connection) -> None:
    """A violated rule is read by people; `videos_check1` tells them nothing."""
    unnamed = shared.execute(
        """
        select conrelid::regclass::text, conname
        from pg_constraint
        where
            connamespace = 'app'::regnamespace
            and contype in ('c', 'f')
            and conname ~ '(_check|_fkey)[0-9]*$'
        """
    ).fetchall()
    assert unnamed == []


def test_captured_tables_lists_each_with_its_key_and_kind(shared: Connection) -> None:
    rows = shared.execute("select table_name, kind, key_columns from app.captured_tables")
    assert {name: (kind, key) for name, kind, key in rows} == CAPTURED


@pytest.mark.parametrize("table", CAPTURED)
def test_a_settled_view_shows_every_column_of_its_table(shared: Connection, table: str) -> None:
    columns = "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0"
    in_table = shared.execute(columns, (f"app.{table}",)).fetchall()
    in_view = shared.execute(columns, (f"app.settled_{table}",)).fetchall()
    assert in_view == in_table


@pytest.mark.parametrize("table", CAPTURED)
def test_a_window_of_a_settled_view_is_read_through_its_index(
    shared: Connection, table: str
) -> None:
    """Else every poll would read whole tables. Any sequential scan shows up in the plan."""
    shared.execute("set enable_seqscan = off; set enable_bitmapscan = off")
    plan = "\n".join(
        line
        for (line,) in shared.execute(
            f"explain select * from app.settled_{table} where _txid > 5 and _txid <= 9"
        )
    )
    assert "Seq Scan" not in plan
    assert "Index Cond: ((_txid < ((pg_snapshot_xmin" in plan
    assert "AND (_txid > 5) AND (_txid <= 9))" in plan


def test_a_forgotten_transaction_is_ended_by_the_server(
    postgres_url: str, postgres: Connection
) -> None:
    """It would hold back everything that lands. Clones lack the setting, so it is set again."""
    postgres.execute(
        sql.SQL("alter database {} reset all").format(sql.Identifier(postgres.info.dbname))
    )
    limits = ROOT / "postgres" / "repeatable" / "set_database_limits.sql"
    postgres.execute(limits.read_bytes())
    with psycopg.connect(postgres_url) as next_session:
        value = next_session.execute("show idle_in_transaction_session_timeout").fetchone()
    assert value == ("1min",)


@pytest.mark.parametrize(
    ("statement", "rule"),
    [
        ("insert into app.users (id) values (-1)", "user_id_is_not_negative"),
        ("insert into app.follows values (7, 7)", "nobody_follows_themselves"),
        ("insert into app.follows values (7, 99)", "followee_is_a_user"),
        ("insert into app.blocks values (7, 7)", "nobody_blocks_themselves"),
        ("insert into app.sounds (id) values (0)", "sound_id_is_positive"),
        ("update app.videos set duration_ms = -1", "duration_is_not_negative"),
        ("update app.videos set status = 'gone'", "status_is_a_stage_of_processing"),
        ("update app.videos set published_at = null", "published_video_has_a_time"),
        ("insert into app.video_engagement values (1, -1)", "views_are_not_negative"),
        ("insert into app.comments values (1, 7, 'video', 1, ' ')", "comment_says_something"),
        ("insert into app.flags values ('No Good')", "flag_name_is_a_lower_case_word"),
    ],
)
def test_a_broken_rule_is_told_by_its_name(shared: Connection, statement: str, rule: str) -> None:
    with pytest.raises(psycopg.errors.IntegrityError) as caught:
        shared.execute(statement)
    assert caught.value.diag.constraint_name == rule


def test_ids_made_here_exceed_what_json_numbers_hold(world: Connection) -> None:
    """And stay clear of imported ids, small ones and snowflakes alike."""
    row = world.execute("insert into app.users default values returning id").fetchone()
    assert row is not None
    assert 2**53 < row[0] < 10**17
