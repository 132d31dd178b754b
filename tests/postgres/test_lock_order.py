"""What keeps calls at once from deadlocks and double counts: the order of locks, and what waits."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from tests.postgres.conftest import until_blocked

Connection = psycopg.Connection[Any]
Event = Callable[..., dict[str, Any]]

INGEST = "select received, deduped from app.ingest_events(%s, %s)"


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """Threads for sessions that wait."""
    with ThreadPoolExecutor(4) as pool:
        yield pool


@contextmanager
def holding(postgres_url: str, query: str, *parameters: Any) -> Iterator[None]:
    """Hold the locks of a statement; it is undone at the end."""
    with psycopg.connect(postgres_url) as connection:
        connection.execute(query, parameters)
        yield
        connection.rollback()


def fetch(postgres_url: str, query: str, *parameters: Any) -> tuple[Any, ...] | None:
    """Run one statement in a session of its own."""
    quick_to_judge = "-c deadlock_timeout=20ms"
    with psycopg.connect(postgres_url, autocommit=True, options=quick_to_judge) as connection:
        return connection.execute(query, parameters).fetchone()


@pytest.mark.parametrize(
    ("table", "key", "item_type", "action"),
    [
        ("video_engagement", "video_id", "video", "view"),
        ("post_engagement", "post_id", "post", "impression"),
        ("likes", "item_id", "video", "like"),
        ("not_interested", "video_id", "video", "not_interested"),
        ("not_interested_posts", "post_id", "post", "not_interested"),
    ],
)
def test_a_batch_locks_in_the_order_of_keys(
    postgres_url: str,
    world: Connection,
    event: Event,
    pool: ThreadPoolExecutor,
    table: str,
    key: str,
    item_type: str,
    action: str,
) -> None:
    """Whatever its own order is: it has locked what is below the row it waits for, and no more."""

    def batch(ago: int, action: str) -> str:
        items = random.Random(1).sample(range(10), 10)
        events = [event(action, ago, item_type=item_type, item_id=item) for item in items]
        return json.dumps(events)

    world.execute(INGEST, (7, batch(60, action)))
    world.execute(INGEST, (7, batch(30, "unlike")))
    world.execute("update app.not_interested set deleted = true")
    world.execute("update app.not_interested_posts set deleted = true")
    lock = f"select 1 from app.{table} where {key} = 5 for update"
    with holding(postgres_url, lock):
        call = pool.submit(fetch, postgres_url, INGEST, 7, batch(0, action))
        until_blocked(world, [call])
        free = world.execute(f"select {key} from app.{table} for update skip locked").fetchall()
    assert sorted(free) == [(6,), (7,), (8,), (9,)]
    assert call.result(30) == (10, 0)


def test_follows_are_counted_in_the_order_of_users(
    postgres_url: str, world: Connection, pool: ThreadPoolExecutor
) -> None:
    world.execute("insert into app.users (id) select generate_series(100, 140)")
    world.execute(
        "insert into app.follows (follower_id, followee_id) "
        "select 100, user_id from generate_series(101, 140) as user_id"
    )
    unfollow = "update app.follows set deleted = true returning 1"
    with holding(postgres_url, "select 1 from app.user_totals where user_id = 120 for update"):
        call = pool.submit(fetch, postgres_url, unfollow)
        until_blocked(world, [call])
        free = world.execute("select user_id from app.user_totals for update skip locked")
        assert sorted(free) == [(user_id,) for user_id in range(121, 141)]
    call.result(30)


def test_batches_with_the_same_events_in_opposite_orders_wait_for_each_other_once(
    postgres_url: str, world: Connection, event: Event, pool: ThreadPoolExecutor
) -> None:
    """Both stand before an event that a third is writing; then neither must have what is ahead."""
    events = [event("impression", ago, item_id=item) for ago in (0, 1) for item in range(10)]
    key = "app.event_key(7, 'video', 5, 'impression', %s::timestamptz)"
    middle = events[5]["event_time"]
    insert = (
        "insert into app.events (idempotent_key, event_time, user_id, item_id, item_type, action, "
        f"author_id, device, app_ver) values ({key}, %s, 7, 5, 'video', 'impression', 1, '', '')"
    )
    with holding(postgres_url, insert, middle, middle):
        calls = [
            pool.submit(fetch, postgres_url, INGEST, 7, json.dumps(events[::step]))
            for step in (1, -1)
        ]
        until_blocked(world, calls)
    assert sorted(call.result(30) for call in calls) == [(20, 0), (20, 20)]


def test_a_comment_that_is_deleted_twice_at_once_is_deleted_once(
    postgres_url: str, world: Connection, pool: ThreadPoolExecutor
) -> None:
    for _ in range(2):
        made = world.execute("select comment_id from app.comment_on_item(7, 'video', 1, 'Hi')")
        [comment] = made.fetchone() or [None]
    delete = "select was_deleted, comment_count from app.delete_comment(7, 'video', 1, %s)"
    with psycopg.connect(postgres_url) as first:
        assert first.execute(delete, (comment,)).fetchone() == (True, 1)
        second = pool.submit(fetch, postgres_url, delete, comment)
        until_blocked(world, [second])
        first.commit()
        assert second.result(30) == (False, 1)
    counted = world.execute("select count(*) from app.events where action = 'uncomment'")
    assert counted.fetchone() == (1,)


@pytest.mark.parametrize("is_expired", [False, True])
def test_queued_events_that_another_worker_has_are_left_to_it(
    postgres_url: str, world: Connection, event: Event, is_expired: bool
) -> None:
    unknown = [event(item_id=item) for item in (42, 43, 44)]
    world.execute(INGEST, (7, json.dumps(unknown)))
    if is_expired:
        world.execute("update app.unknown_item_events set received_at = now() - interval '25 h'")
    else:
        world.execute("insert into app.videos (id, creator_id) select generate_series(42, 44), 1")
    world.execute("set lock_timeout = '10 s'")  # whoever waited would be told
    tidy = "select ingested, expired from app.ingest_queued_events()"
    lock = "select 1 from app.unknown_item_events where item_id = 43 for update"
    with holding(postgres_url, lock):
        assert world.execute(tidy).fetchone() == ((0, 2) if is_expired else (2, 0))
    assert world.execute(tidy).fetchone() == ((0, 1) if is_expired else (1, 0))
