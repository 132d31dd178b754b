"""Many writers at once: nothing counted twice, nothing lost, nobody deadlocked."""

from __future__ import annotations

import json
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest

Connection = psycopg.Connection[Any]

WRITERS = 8
VIDEOS = 10

# How long a session waits before it looks for a deadlock.
QUICK_TO_JUDGE = "-c deadlock_timeout=20ms"

RECOUNT = """
with events as (
    select
        item_id,
        count(*) filter (where action = 'view') as views,
        coalesce(sum(completion), 0) as completions,
        sum(watch_ms) as watch_ms,
        sum(case action when 'like' then 1 when 'unlike' then -1 else 0 end) as likes,
        count(*) filter (where action = 'share') as shares,
        count(*) filter (where action = 'comment') as comments
    from app.events
    where item_type = 'video'
    group by item_id
)

select
    item_id,
    to_jsonb(events) - 'item_id' as recount,
    to_jsonb(totals) - '{video_id,deleted,_txid,_version}'::text[] as counters
from events
full join app.video_engagement as totals on events.item_id = totals.video_id
order by item_id
"""


def batches(now: datetime, how_many: int, size: int) -> list[tuple[int, str]]:
    """Batches of few viewers and videos, so that they collide as often as can be."""
    rnd = random.Random(4)
    actions = ["view", "view", "impression", "like", "unlike", "share", "comment", "not_interested"]

    def event() -> dict[str, Any]:
        action = rnd.choice(actions)
        at = now - timedelta(seconds=rnd.randrange(60))
        watch = {"watch_ms": rnd.randrange(1000), "completion": rnd.randrange(5) / 4}
        return {
            "event_time": at.isoformat(),
            "item_type": "video",
            "item_id": rnd.randrange(VIDEOS),
            "action": action,
            "device": "phone",
            "app_ver": "1.0.0",
            **(watch if action == "view" else {}),
        }

    return [
        (rnd.choice([7, 8]), json.dumps([event() for _ in range(size)])) for _ in range(how_many)
    ]


def send_all(postgres_url: str, work: list[list[tuple[int, str]]]) -> tuple[int, int]:
    """One connection per list; returns how many events were received and deduped in all."""

    def send(mine: list[tuple[int, str]]) -> tuple[int, int]:
        received = deduped = 0
        with psycopg.connect(postgres_url, autocommit=True, options=QUICK_TO_JUDGE) as connection:
            for batch in mine:
                row = connection.execute(
                    "select received, deduped from app.ingest_events(%s, %s)", batch
                ).fetchone()
                assert row is not None
                received, deduped = received + row[0], deduped + row[1]
        return received, deduped

    with ThreadPoolExecutor(len(work)) as pool:
        answers = list(pool.map(send, work, timeout=120))
    return sum(answer[0] for answer in answers), sum(answer[1] for answer in answers)


def count(connection: Connection, table: str) -> int:
    row = connection.execute(f"select count(*) from app.{table}").fetchone()
    assert row is not None
    return int(row[0])


def assert_counters_equal_recount(connection: Connection) -> None:
    rows = connection.execute(RECOUNT).fetchall()
    assert len(rows) == VIDEOS
    for video, recount, counters in rows:
        assert counters == recount, f"video {video}"


def assert_likes_equal_counters(connection: Connection) -> None:
    rows = connection.execute(
        """
        select totals.video_id, totals.likes, count(likes.item_id)
        from app.video_engagement as totals
        left join app.likes
            on totals.video_id = likes.item_id and likes.item_type = 'video' and not likes.deleted
        group by totals.video_id
        """
    ).fetchall()
    assert [row for row in rows if row[1] != row[2]] == []


def test_eight_writers_of_the_same_batches_store_each_event_once(
    postgres_url: str, world: Connection, now: datetime
) -> None:
    """Every client retries everything, all at once, each in an order of its own."""
    work = [batches(now, how_many=12, size=40) for _ in range(WRITERS)]
    for number, mine in enumerate(work):
        random.Random(number).shuffle(mine)

    received, deduped = send_all(postgres_url, work)

    assert received == WRITERS * 12 * 40
    assert received - deduped == count(world, "events") > 0
    keys = world.execute(
        "select count(*), count(distinct (user_id, item_id, action, event_time)) from app.events"
    ).fetchone()
    assert keys is not None
    assert keys[0] == keys[1]
    assert_counters_equal_recount(world)
    assert_likes_equal_counters(world)


def test_crossing_batches_do_not_deadlock(
    postgres_url: str, world: Connection, now: datetime
) -> None:
    """Each batch touches every video in an order of its own; any deadlock would raise."""
    everything = batches(now, how_many=WRITERS * 15, size=60)
    work = [everything[number::WRITERS] for number in range(WRITERS)]

    send_all(postgres_url, work)

    assert_counters_equal_recount(world)
    assert_likes_equal_counters(world)


def test_pressing_like_everywhere_at_once_counts_every_viewer_once(
    postgres_url: str, world: Connection
) -> None:
    def press(viewer: int) -> None:
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            for _ in range(5):
                for function in ("like_item", "unlike_item", "like_item"):
                    connection.execute(f"select app.{function}(%s, 'video', 1)", (viewer % 4,))

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(press, range(WRITERS), timeout=120))

    assert_likes_equal_counters(world)
    row = world.execute(
        "select count(*) filter (where action = 'like') - count(*) filter (where action = 'unlike')"
        " from app.events"
    ).fetchone()
    likes = world.execute("select likes from app.video_engagement where video_id = 1").fetchone()
    assert row == likes == (4,)


@pytest.mark.parametrize("viewers", [1, 40])
def test_fifty_clients_press_like_and_unlike_a_thousand_times(
    postgres_url: str, world: Connection, viewers: int
) -> None:
    """
    The counter, the state, the events and every answer agree, and each press counts.

    One pair pressed from everywhere at once: two first presses race for its row, and quick ones
    for the seconds that date them.
    """
    clients, presses = 50, 20
    start = threading.Barrier(clients)

    def press(client: int) -> None:
        rnd = random.Random(client)
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            start.wait(60)
            for _ in range(presses):
                action = rnd.choice(["like", "unlike"])
                answer = connection.execute(
                    f"select liked from app.{action}_item(%s, 'video', 1)",
                    (100 + client % viewers,),
                ).fetchone()
                assert answer == (action == "like",)

    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(press, range(clients), timeout=120))

    assert_likes_equal_counters(world)
    rows = world.execute(
        """
        select
            events.user_id,
            array_agg(events.action order by events.event_time),
            (
                select case when likes.deleted then 'unlike' else 'like' end
                from app.likes
                where likes.user_id = events.user_id
            )
        from app.events
        group by events.user_id
        """
    ).fetchall()
    assert len(rows) == viewers
    for viewer, actions, state in rows:
        expected = [("like", "unlike")[n % 2] for n in range(len(actions))]
        assert actions == expected, f"viewer {viewer}: every press changed something, in turn"
        assert actions[-1] == state
