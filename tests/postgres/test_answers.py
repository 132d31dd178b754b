"""What every write answers besides its own: its transaction, and the totals it moved."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

Connection = psycopg.Connection[Any]
Event = Callable[..., dict[str, Any]]

WRITES_ON_AN_ITEM = [
    "app.like_item(7, 'video', 1)",
    "app.unlike_item(7, 'video', 1)",
    "app.share_item(7, 'video', 1, 'sms')",
    "app.watch_video(7, 1, 4000)",
    "app.comment_on_item(7, 'video', 1, 'Hi')",
    "app.like_item(7, 'post', 1)",
    "app.share_item(7, 'post', 1, null)",
    "app.comment_on_item(7, 'post', 1, 'Hi')",
]


def written(connection: Connection, function: str) -> tuple[int | None, list[list[Any]]]:
    """Transaction and changed items."""
    row = connection.execute(f"select txid, changed from {function}").fetchone()
    assert row is not None
    return row


def totals(connection: Connection, item_type: str, *items: int) -> list[list[Any]]:
    rows = connection.execute(
        "select * from app.item_totals(%s, %s) order by item_id", (item_type, list(items))
    )
    return [list(row[:-1]) for row in rows]  # without the transaction


@pytest.mark.parametrize("write", WRITES_ON_AN_ITEM)
def test_a_write_on_an_item_answers_with_its_totals_also_when_it_moved_nothing(
    world: Connection, write: str
) -> None:
    item_type = "video" if "watch" in write or "'video'" in write else "post"
    for _ in range(2):
        _, changed = written(world, write)
        assert changed == totals(world, item_type, 1)


def test_an_ingested_batch_answers_with_what_it_moved_and_no_more(
    world: Connection, event: Event
) -> None:
    def ingest(*events: dict[str, Any]) -> tuple[int | None, list[list[Any]]]:
        return written(world, f"app.ingest_events(7, $${json.dumps(events)}$$)")

    batch = [
        event("view", item_id=1),
        event("like", item_id=2, ago=2),
        event("impression", item_id=3),
        event("dwell", item_id=4, item_type="post", dwell_ms=1500),
        event("impression", item_id=5, item_type="post"),
    ]
    txid, changed = ingest(*batch)
    assert sorted(changed, key=lambda item: item[1]) == [
        *totals(world, "video", 1, 2),
        *totals(world, "post", 4, 5),
    ]
    assert [item[3:] for item in totals(world, "post", 4, 5)] == [
        [0, 0, 0, 0, 0, 1500],
        [0, 0, 0, 0, 1, 0],
    ]
    assert world.execute("select distinct _txid from app.events").fetchall() == [(txid,)]

    assert ingest(*batch)[1] == []
    _, changed = ingest(event("unlike", item_id=2, ago=1), event("view", item_id=2))
    assert changed == totals(world, "video", 2)
    assert changed[0][3:5] == [1, 0]


def test_versions_grow_with_every_change(world: Connection) -> None:
    versions = [
        written(world, f"app.{action}_item(7, 'video', 1)")[1][0][2]
        for action in ("like", "unlike", "unlike", "like")
    ]
    assert versions[0] < versions[1] == versions[2] < versions[3]


def test_more_unlikes_than_likes_in_a_batch_are_subtracted_once(
    world: Connection, event: Event
) -> None:
    for item in (1, 2, 3):
        world.execute("select app.like_item(7, 'video', %s)", (item,))
        world.execute("select app.like_item(8, 'video', %s)", (item,))
    batch = [
        event("unlike", item_id=1, ago=9),
        event("unlike", item_id=2, ago=9),
        event("like", item_id=2, ago=8),
        event("unlike", item_id=2, ago=7),
        event("view", item_id=3),
    ]
    _, changed = written(world, f"app.ingest_events(7, $${json.dumps(batch)}$$)")
    assert sorted(changed) == totals(world, "video", 1, 2, 3)
    assert [item[4] for item in sorted(changed)] == [1, 1, 2]


def test_totals_of_what_nobody_acted_on_are_zeros_of_version_zero(world: Connection) -> None:
    assert totals(world, "post", 7, 7) == [["post", 7, 0, 0, 0, 0, 0, 0, 0]]
    assert totals(world, "video", 999) == [["video", 999, 0, 0, 0, 0, 0, 0, 0]]
    assert totals(world, "video") == []


@pytest.mark.parametrize(
    "write",
    [
        "app.hide_video(7, 1)",
        "app.follow_user(7, 1)",
        "app.block_user(7, 1)",
        "app.create_post(7, 'Hi')",
    ],
)
def test_other_writes_name_their_transaction_and_move_nothing(
    world: Connection, write: str
) -> None:
    txid, changed = written(world, write)
    assert changed == []
    assert txid is not None
    before = world.execute("select pg_current_xact_id()::text::bigint").fetchone()
    assert before is not None
    assert txid < before[0]


def test_nothing_written_is_no_transaction(world: Connection) -> None:
    assert written(world, "app.unfollow_user(7, 1)") == (None, [])
    assert written(world, "app.unblock_user(7, 1)") == (None, [])
    assert written(world, "app.ingest_events(7, '[]')") == (None, [])


def test_a_batch_of_playbacks_is_deduped_and_may_be_late(world: Connection) -> None:
    world.execute("update app.videos set deleted = true where id = 2")
    late = datetime.now(UTC).replace(microsecond=0) - timedelta(days=29)
    watches = [
        {"video_id": "1", "watch_ms": 4000, "completion": 0.5},
        {"video_id": 2, "watch_ms": 1, "event_time": None},
        {"video_id": 1, "watch_ms": 9, "event_time": late.isoformat()},
    ]
    query = "select received, deduped, changed from app.watch_videos(7, %s)"
    row = world.execute(query, (json.dumps(watches),)).fetchone()
    assert row is not None
    assert row[:2] == (3, 0)
    assert sorted(row[2]) == totals(world, "video", 1, 2)
    row = world.execute(query, (json.dumps(watches[2:]),)).fetchone()
    assert row == (1, 1, [])
    watched = world.execute("select views, watch_ms, completions from app.video_engagement")
    assert sorted(watched.fetchall()) == [(1, 1, 0), (2, 4009, 0.5)]


def test_every_faulty_playback_is_told(world: Connection, refused: Any) -> None:
    query = "select app.watch_videos(7, %s)"
    with refused("NV400") as refusal:
        world.execute(query, (json.dumps([{"video_id": 1}, {"video_id": "x", "watch_ms": -1}, 5]),))
    assert [(error["index"], error["field"]) for error in refusal.errors] == [
        (0, "watch_ms"),
        (1, "video_id"),
        (1, "watch_ms"),
        (2, "watch"),
    ]
    for watches in ('{"a": 1}', json.dumps([{"video_id": 1, "watch_ms": 1}] * 101)):
        with refused("NV400") as refusal:
            world.execute(query, (watches,))
        assert (refusal.index, refusal.field) == (None, "watches")
    with refused("NV404") as refusal:
        world.execute(
            query,
            (json.dumps([{"video_id": n, "watch_ms": 1} for n in (1, 98, 2, 99)]),),
        )
    assert [(error["index"], error["field"]) for error in refusal.errors] == [
        (1, "video_id"),
        (3, "video_id"),
    ]
    assert world.execute("select count(*) from app.events").fetchone() == (0,)


@pytest.mark.parametrize(
    ("field", "call"),
    [
        ("video_id", "app.like_item(7, 'video', 9)"),
        ("post_id", "app.comment_on_item(7, 'post', 9, 'Hi')"),
        ("video_id", "app.watch_video(7, 9, 1)"),
        ("video_id", "app.hide_video(7, 9)"),
        ("post_id", "app.list_comments('post', 9, null, null, 10)"),
        ("followee_id", "app.follow_user(7, 8)"),
        ("blocked_id", "app.unblock_user(7, 8)"),
        ("viewer_id", "app.like_item(8, 'video', 1)"),
        ("viewer_id", "app.create_post(8, 'Hi')"),
        ("viewer_id", "app.follow_user(8, 1)"),
    ],
)
def test_what_was_deleted_is_gone(world: Connection, refused: Any, field: str, call: str) -> None:
    world.execute("update app.videos set deleted = true where id = 9")
    world.execute("update app.posts set deleted = true where id = 9")
    world.execute("update app.users set deleted = true where id = 8")
    with refused("NV410") as refusal:
        world.execute(f"select {call}")
    assert refusal.field == field


def test_a_playback_of_then_is_stored_as_then(world: Connection, refused: Any) -> None:
    world.execute("select app.watch_video(7, 1, 5, p_event_time => now() - interval '3 days')")
    row = world.execute("select event_time < now() - interval '2 days' from app.events").fetchone()
    assert row == (True,)
    for time in ("now() + interval '6 minutes'", "now() - interval '3 years'"):
        with refused("NV400") as refusal:
            world.execute(f"select app.watch_video(7, 1, 5, p_event_time => {time})")
        assert refusal.field == "event_time"
