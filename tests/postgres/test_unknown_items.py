"""Events about items that nobody knows yet: kept a day, stored when the item appears."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import psycopg

Connection = psycopg.Connection[Any]
Event = Callable[..., dict[str, Any]]
Refused = Callable[[str], Any]


def ingest(connection: Connection, *events: dict[str, Any], viewer: int = 7) -> tuple[int, ...]:
    """Received, deduped and queued."""
    row = connection.execute(
        "select received, deduped, queued from app.ingest_events(%s, %s)",
        (viewer, json.dumps(events)),
    ).fetchone()
    assert row is not None
    return row


def publish(connection: Connection, video: int) -> None:
    connection.execute(
        "insert into app.videos (id, creator_id, status, published_at)"
        " values (%s, 1, 'published', now())",
        (video,),
    )


def housekeeping(connection: Connection, *arguments: int) -> tuple[int, int]:
    """Ingested and expired."""
    row = connection.execute(
        f"select ingested, expired from app.ingest_queued_events({', '.join(map(str, arguments))})"
    ).fetchone()
    assert row is not None
    return row


def waiting(connection: Connection) -> int:
    row = connection.execute("select count(*) from app.unknown_item_events").fetchone()
    assert row is not None
    return int(row[0])


def test_an_event_about_an_unknown_item_waits_and_the_others_do_not(
    world: Connection, event: Event
) -> None:
    assert ingest(world, event(), event(item_id=42), event("like", item_id=42)) == (3, 0, 2)
    assert ingest(world, event(), event(item_id=42), event("like", item_id=42)) == (3, 3, 0)
    assert housekeeping(world) == (0, 0)

    publish(world, 42)
    assert housekeeping(world) == (2, 0)
    assert housekeeping(world) == (0, 0)
    row = world.execute(
        "select views, likes from app.video_engagement where video_id = 42"
    ).fetchone()
    assert row == (1, 1)
    assert ingest(world, event(item_id=42), event("like", item_id=42)) == (2, 2, 0)


def test_what_was_queued_is_stored_as_it_came(
    world: Connection, event: Event, now: datetime
) -> None:
    request = "0d9c8f52-2f2c-4a7c-9a86-3d2a8a1d2c11"
    sent = event(
        item_type="post",
        item_id=42,
        ago=5,
        watch_ms=4000,
        dwell_ms=10,
        completion=0.25,
        feed_request_id=request,
    )
    assert ingest(world, sent) == (1, 0, 1)
    world.execute("insert into app.posts (id, author_id, body) values (42, 2, 'late')")
    assert housekeeping(world) == (1, 0)
    row = world.execute(
        "select event_time, user_id, item_type, item_id, author_id, action, dwell_ms, watch_ms,"
        " completion, device, app_ver, feed_request_id::text from app.events"
    ).fetchall()
    at = now - timedelta(seconds=5)
    assert row == [
        (at, 7, "post", 42, 2, "view", 10, 4000, 0.25, "phone", "1.2.3", request),
    ]
    assert ingest(world, sent) == (1, 1, 0)


def test_an_unknown_viewer_of_an_unknown_item_becomes_known(
    world: Connection, event: Event
) -> None:
    assert ingest(world, event(item_id=42), viewer=4711) == (1, 0, 1)
    publish(world, 42)
    assert housekeeping(world) == (1, 0)
    assert world.execute("select 1 from app.users where id = 4711").fetchone()


def test_a_viewer_has_room_for_a_thousand(
    world: Connection, event: Event, refused: Refused
) -> None:
    def batch(number: int) -> list[dict[str, Any]]:
        return [event(item_id=1000 * number + n + 42) for n in range(100)]

    for number in range(10):
        assert ingest(world, *batch(number)) == (100, 0, 100)
    with refused("NV400") as refusal:
        ingest(world, event(), event(item_id=99_999))
    assert (refusal.index, refusal.field) == (1, "item_id")
    assert world.execute("select count(*) from app.events").fetchone() == (0,)
    # What waits already may be sent again, what is known is welcome, and others have room.
    assert ingest(world, *batch(3)) == (100, 100, 0)
    assert ingest(world, event()) == (1, 0, 0)
    assert ingest(world, event(item_id=99_999), viewer=8) == (1, 0, 1)


def test_the_last_places_are_not_given_twice(
    postgres_url: str, world: Connection, event: Event
) -> None:
    def send(number: int) -> int:
        batch = [event(item_id=1000 * number + n + 42) for n in range(90)]
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            try:
                return ingest(connection, *batch)[2]
            except psycopg.Error as exc:
                assert exc.sqlstate == "NV400"
                return 0

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(send, range(18), timeout=60)) == 990
    assert waiting(world) == 990


def test_what_waited_a_day_or_became_too_old_to_store_is_dropped(
    world: Connection, event: Event
) -> None:
    nearly_too_old = event(item_id=45, ago=timedelta(days=29, hours=23).total_seconds())
    ingest(world, event(item_id=42), event(item_id=43), event(item_id=44), nearly_too_old)
    world.execute(
        "update app.unknown_item_events set received_at = now() - interval '25 hours'"
        " where item_id = 42"
    )
    world.execute(
        "update app.unknown_item_events set event_time = '2001-01-01Z' where item_id = 43"
    )
    world.execute(
        "update app.unknown_item_events set event_time = event_time - interval '61 minutes'"
        " where item_id = 45"
    )
    for video in (42, 43, 45):
        publish(world, video)
    assert housekeeping(world) == (0, 3)
    assert waiting(world) == 1
    assert world.execute("select count(*) from app.events").fetchone() == (0,)


def test_a_long_queue_is_seen_as_a_whole_in_bounded_steps(world: Connection, event: Event) -> None:
    """Looking at five of forty at a time finds the one that appeared, whatever stands before it."""
    ingest(world, *[event(item_id=100 + n) for n in range(40)])
    publish(world, 120)
    steps = [housekeeping(world, 5, 1) for _ in range(400)]
    assert sorted(steps)[-2:] == [(0, 0), (1, 0)]
    assert waiting(world) == 39


def test_what_is_queued_while_its_item_appears_is_stored_once(
    postgres_url: str, world: Connection, event: Event
) -> None:
    """Clients retry, items appear and two workers tidy, all at once."""
    videos = range(100, 120)
    batch = [event(action, item_id=video) for video in videos for action in ("view", "like")]

    def client(_: int) -> None:
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            for _ in range(8):
                ingest(connection, *batch)

    def tidy(_: int) -> None:
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            for _ in range(30):
                housekeeping(connection, 100, 5)

    def appear(_: int) -> None:
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            for video in videos:
                publish(connection, video)

    with ThreadPoolExecutor(6) as pool:
        jobs = [
            pool.submit(job, n)
            for n, job in enumerate([client, client, client, tidy, tidy, appear])
        ]
        for job in jobs:
            job.result(60)
    while housekeeping(world) != (0, 0):
        pass
    assert waiting(world) == 0
    rows = world.execute(
        "select video_id, views, likes from app.video_engagement order by video_id"
    ).fetchall()
    assert rows == [(video, 1, 1) for video in videos]
    assert world.execute("select count(*) from app.events").fetchone() == (40,)
