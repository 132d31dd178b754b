"""A client's batch: stored once, counted once, refused as a whole and with the reason."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import psycopg
import pytest

Connection = psycopg.Connection[Any]
Ingest = Callable[..., tuple[int, int]]
Event = Callable[..., dict[str, Any]]
Refused = Callable[[str], Any]


def totals(connection: Connection, video: int = 1) -> dict[str, Any]:
    row = connection.execute(
        "select to_jsonb(totals) - '{video_id,deleted,_txid,_version}'::text[]"
        " from app.video_engagement as totals where video_id = %s",
        (video,),
    ).fetchone()
    counts = row[0] if row else {}
    return {name: count for name, count in counts.items() if count}


def stored(connection: Connection, columns: str = "action") -> list[Any]:
    rows = connection.execute(f"select {columns} from app.events order by event_time, action")
    return [row[0] if len(row) == 1 else row for row in rows]


def test_a_batch_sent_again_is_deduped(ingest: Ingest, event: Event, world: Connection) -> None:
    batch = [event("view"), event("impression"), event("view", ago=1)]
    assert ingest(*batch) == (3, 0)
    assert ingest(*batch) == (3, 3)
    assert ingest(*batch, event("view", ago=2)) == (4, 3)
    assert totals(world) == {"views": 3}


def test_an_event_twice_in_one_batch_counts_once(
    ingest: Ingest, event: Event, world: Connection
) -> None:
    assert ingest(event("share"), event("share")) == (2, 1)
    assert totals(world) == {"shares": 1}


def test_fractions_of_a_second_are_the_same_event(
    ingest: Ingest, event: Event, now: datetime
) -> None:
    first = now.isoformat().replace("+00:00", ".125Z")
    second = now.isoformat().replace("+00:00", ".875Z")
    assert ingest(event(event_time=first), event(event_time=second)) == (2, 1)


def test_different_viewers_items_types_and_actions_are_different_events(
    ingest: Ingest, event: Event
) -> None:
    assert ingest(event(), event(item_id="2"), event(item_type="post"), event("dwell")) == (4, 0)
    assert ingest(event(), viewer=8) == (1, 0)


def test_counters_move_with_what_happened(ingest: Ingest, event: Event, world: Connection) -> None:
    ingest(
        event("impression"),
        event("view", watch_ms=4000, completion=0.25),
        event("view", ago=1, watch_ms=1000, completion=1),
        event("view", ago=2),
        event("share"),
        event("comment"),
        event("like"),
        event("profile_visit"),
    )
    assert totals(world) == {
        "views": 3,
        "completions": 1.25,
        "watch_ms": 5000,
        "shares": 1,
        "comments": 1,
        "likes": 1,
    }


def test_posts_count_exposures_and_time_on_screen(
    ingest: Ingest, event: Event, world: Connection
) -> None:
    ingest(
        event("impression", item_type="post"),
        event("dwell", item_type="post", dwell_ms=1500),
        event("view", item_type="post", dwell_ms=500),
        event("like", item_type="post"),
    )
    row = world.execute(
        "select exposures, views, likes, shares, comments, dwell_ms from app.post_engagement"
    ).fetchall()
    assert row == [(1, 1, 1, 0, 0, 2000)]
    assert totals(world) == {}


def test_the_author_is_the_items_whatever_the_body_says(
    ingest: Ingest, event: Event, world: Connection
) -> None:
    ingest(event(author_id="99"), event(item_type="post", author_id="99", user_id="99"))
    rows = world.execute(
        "select item_type, author_id, user_id from app.events order by 1"
    ).fetchall()
    assert rows == [("post", 2, 7), ("video", 1, 7)]


def test_ids_may_be_strings_or_numbers(ingest: Ingest, event: Event) -> None:
    assert ingest(event(item_id=3), event(item_id="3")) == (2, 1)


def test_item_zero_is_an_item(ingest: Ingest, event: Event, world: Connection) -> None:
    ingest(event(item_id=0))
    assert totals(world, 0) == {"views": 1}


def test_an_unknown_viewer_becomes_known(ingest: Ingest, event: Event, world: Connection) -> None:
    """The token was valid, so the identity provider knows them."""
    ingest(event("like"), viewer=12345)
    assert world.execute("select 1 from app.users where id = 12345").fetchone()


def test_what_is_reported_after_a_deletion_is_kept(
    ingest: Ingest, event: Event, world: Connection
) -> None:
    """Else one deleted video would lose a batch of a hundred."""
    world.execute("update app.videos set deleted = true where id = 1")
    assert ingest(event("dwell", dwell_ms=10)) == (1, 0)


# ---------- likes and "not interested": a state, not only an event


def test_a_second_like_changes_nothing_and_is_no_event(
    ingest: Ingest, event: Event, world: Connection
) -> None:
    """Downstream adds likes up; liking every second must not make a video popular."""
    assert ingest(event("like", ago=5)) == (1, 0)
    assert ingest(event("like", ago=3), event("like", ago=4)) == (2, 2)
    assert totals(world) == {"likes": 1}
    assert stored(world) == ["like"]


def test_an_unlike_of_what_is_not_liked_changes_nothing(
    ingest: Ingest, event: Event, world: Connection
) -> None:
    assert ingest(event("unlike")) == (1, 1)
    assert stored(world) == []
    assert totals(world) == {}


def test_like_unlike_like_ends_liked(ingest: Ingest, event: Event, world: Connection) -> None:
    """In one batch, in whatever order the client lists them."""
    assert ingest(event("like", ago=1), event("like", ago=3), event("unlike", ago=2)) == (3, 0)
    assert totals(world) == {"likes": 1}
    assert world.execute("select deleted from app.likes").fetchall() == [(False,)]


def test_a_like_taken_back_in_the_same_batch_leaves_no_trace_in_the_counter(
    ingest: Ingest, event: Event, world: Connection
) -> None:
    assert ingest(event("like", ago=2), event("unlike", ago=1)) == (2, 0)
    assert totals(world) == {}
    assert stored(world) == ["like", "unlike"]


def test_a_retry_does_not_bring_back_a_like_that_was_taken_back(
    ingest: Ingest, event: Event, world: Connection
) -> None:
    like = event("like", ago=2)
    assert ingest(like) == (1, 0)
    assert ingest(event("unlike", ago=1)) == (1, 0)
    assert ingest(like) == (1, 1)
    assert totals(world) == {}


def test_likes_of_events_add_up_to_the_counter(
    ingest: Ingest, event: Event, world: Connection
) -> None:
    for second in range(40, 0, -1):
        action = "like" if second * 7 % 3 else "unlike"
        ingest(event(action, ago=second), viewer=7 + second % 2)
    net = "select sum(case action when 'like' then 1 else -1 end) from app.events"
    live = "select count(*) from app.likes where not deleted"
    row = world.execute(f"select ({net}), ({live})").fetchone()
    assert row is not None
    assert row == (totals(world).get("likes", 0),) * 2


@pytest.mark.parametrize(
    ("item_type", "hidden"),
    [
        ("video", "select user_id, video_id from app.not_interested"),
        ("post", "select user_id, post_id from app.not_interested_posts"),
    ],
)
def test_not_interested_hides_the_item_once(
    ingest: Ingest, event: Event, world: Connection, item_type: str, hidden: str
) -> None:
    first = event("not_interested", ago=9, item_type=item_type)
    assert ingest(first, event("not_interested", ago=8, item_type=item_type)) == (2, 1)
    assert ingest(first) == (1, 1)
    assert ingest(event("not_interested", item_type=item_type)) == (1, 1)
    assert world.execute(hidden).fetchall() == [(7, 1)]
    assert stored(world) == ["not_interested"]


def test_a_post_may_be_of_no_interest_where_the_video_of_its_id_is(
    ingest: Ingest, event: Event, world: Connection
) -> None:
    both = [event("not_interested", ago=9, item_type=kind) for kind in ("video", "post")]
    assert ingest(*both) == (2, 0)
    world.execute("update app.not_interested_posts set deleted = true")
    again = [event("not_interested", item_type=kind) for kind in ("video", "post")]
    assert ingest(*again) == (2, 1)
    assert sorted(stored(world, "item_type")) == ["post", "post", "video"]


# ---------- refusals


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("event_time", None),
        ("event_time", "now"),
        ("event_time", "2026-02-30T00:00:00Z"),
        ("event_time", "2026-02-03T00:00:00"),
        ("event_time", "2026-02-03"),
        ("event_time", 1770000000),
        ("event_time", "2999-01-01T00:00:00Z"),
        ("event_time", "2001-01-01T00:00:00Z"),
        ("item_id", None),
        ("item_id", ""),
        ("item_id", "-1"),
        ("item_id", "0x1f"),
        ("item_id", 1.5),
        ("item_id", "9223372036854775808"),
        ("item_type", "sound"),
        ("action", "uncomment"),
        ("action", "adore"),
        ("dwell_ms", -1),
        ("dwell_ms", 3_600_001),
        ("dwell_ms", 1.5),
        ("dwell_ms", ""),
        ("dwell_ms", "12345678901234567890"),
        ("watch_ms", 86_400_001),
        ("completion", 1.01),
        ("completion", -0.5),
        ("completion", "half"),
        ("device", None),
        ("device", "  "),
        ("device", "x" * 201),
        ("app_ver", None),
        ("app_ver", "1.2"),
        ("app_ver", "latest"),
        ("feed_request_id", "not-a-uuid"),
    ],
)
def test_one_bad_field_refuses_the_batch_and_names_itself(
    shared_ingest: Ingest,
    shared_world: Connection,
    event: Event,
    refused: Refused,
    field: str,
    value: Any,
) -> None:
    with refused("NV400") as refusal:
        shared_ingest(event(), event("impression"), event(**{field: value}))
    assert (refusal.index, refusal.field) == (2, field)
    assert refusal.message
    assert stored(shared_world) == []


@pytest.mark.parametrize(("field", "value"), [("watch_ms", 5), ("completion", 0.5)])
def test_only_a_view_has_watch_time(
    shared_ingest: Ingest, event: Event, refused: Refused, field: str, value: Any
) -> None:
    with refused("NV400") as refusal:
        shared_ingest(event("impression", **{field: value}))
    assert (refusal.index, refusal.field) == (0, field)


def test_the_first_bad_event_is_the_one_named(
    shared_ingest: Ingest, event: Event, refused: Refused
) -> None:
    with refused("NV400") as refusal:
        shared_ingest(event(), event(device=""), event(action="adore"))
    assert (refusal.index, refusal.field) == (1, "device")


def test_a_batch_is_a_list_of_at_most_100_objects(
    shared_ingest: Ingest, shared_world: Connection, event: Event, refused: Refused
) -> None:
    with refused("NV400") as refusal:
        shared_ingest(*[event("impression", ago=n) for n in range(101)])
    assert refusal.field == "events"
    with refused("NV400") as refusal:
        shared_world.execute("select app.ingest_events(7, '{}')")
    assert refusal.field == "events"
    with refused("NV400") as refusal:
        shared_world.execute("select app.ingest_events(7, '[7]')")
    assert (refusal.index, refusal.field) == (0, "event")


def test_nothing_is_nothing(ingest: Ingest) -> None:
    assert ingest() == (0, 0)


def test_a_refused_batch_does_not_spoil_the_next_one(
    ingest: Ingest, event: Event, refused: Refused
) -> None:
    """The session keeps its waiting room; what was left in it must not be stored later."""
    with refused("NV400"):
        ingest(event(), event(device=""))
    assert ingest(event(ago=1)) == (1, 0)
