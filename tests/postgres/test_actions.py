"""The functions behind the write endpoints: idempotent, and they answer with the new count."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

Connection = psycopg.Connection[Any]
Refused = Callable[[str], Any]


def answer(connection: Connection, function: str, *arguments: Any) -> dict[str, Any]:
    """Everything a function returns, by name."""
    places = ", ".join(["%s"] * len(arguments))
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(f"select * from app.{function}({places})", arguments).fetchone()
    assert row is not None
    return row


def call(connection: Connection, function: str, *arguments: Any) -> Any:
    """What a function returns besides the transaction and the totals that moved."""
    row = answer(connection, function, *arguments)
    values = tuple(row[name] for name in row if name not in ("txid", "changed"))
    return values[0] if len(values) == 1 else values


def actions(connection: Connection) -> list[str]:
    rows = connection.execute("select action from app.events order by event_time, action")
    return [action for (action,) in rows]


@pytest.mark.parametrize("item_type", ["video", "post"])
def test_liking_again_and_again_is_one_like(world: Connection, item_type: str) -> None:
    assert call(world, "like_item", 7, item_type, 1) == (1, True)
    assert call(world, "like_item", 7, item_type, 1) == (1, True)
    assert call(world, "like_item", 8, item_type, 1) == (2, True)
    assert call(world, "unlike_item", 7, item_type, 1) == (1, False)
    assert call(world, "unlike_item", 7, item_type, 1) == (1, False)


def test_no_press_of_the_like_button_is_lost_within_a_second(world: Connection) -> None:
    """A second holds each event once, so quick presses are dated one second after the other."""
    for _ in range(3):
        assert call(world, "like_item", 7, "video", 1) == (1, True)
        assert call(world, "unlike_item", 7, "video", 1) == (0, False)
    assert call(world, "like_item", 7, "video", 1) == (1, True)
    assert actions(world) == ["like", "unlike"] * 3 + ["like"]


def test_likes_do_not_run_away_from_the_clock(world: Connection, refused: Refused) -> None:
    call(world, "like_item", 7, "video", 1)
    world.execute("update app.likes set changed_at = now() + interval '59 minutes'")
    assert call(world, "unlike_item", 7, "video", 1) == (0, False)
    world.execute("update app.likes set changed_at = now() + interval '61 minutes'")
    with refused("NV429"):
        call(world, "like_item", 7, "video", 1)
    assert call(world, "unlike_item", 7, "video", 1) == (0, False)  # changes nothing


def test_comments_do_not_run_away_from_the_clock(world: Connection, refused: Refused) -> None:
    """Each second of the next five minutes holds a comment of the viewer's already."""
    with world.transaction():
        world.execute("select app.open_pending_events()")
        world.execute(
            "insert into pending_events (event_time, user_id, item_type, item_id, action) "
            "select clock_timestamp() + make_interval(secs => n), 7, 'video', 1, 'comment' "
            "from generate_series(0, 330) as n"
        )
        world.execute("select * from app.record_events()")
    with refused("NV429"):
        call(world, "comment_on_item", 7, "video", 1, "And another thing")
    assert world.execute("select count(*) from app.comments").fetchone() == (0,)
    assert call(world, "comment_on_item", 8, "video", 1, "Well")[2] == 332


def test_two_comments_within_a_second_are_two_comments(world: Connection) -> None:
    first, first_at, count = call(world, "comment_on_item", 7, "video", 1, "Nice")
    assert count == 1
    second, second_at, count = call(world, "comment_on_item", 7, "video", 1, "Very nice")
    assert count == 2
    assert (second_at, second) > (first_at, first)
    assert call(world, "delete_comment", 7, "video", 1, first) == (1, True)
    assert call(world, "delete_comment", 7, "video", 1, first) == (1, False)
    assert call(world, "delete_comment", 7, "video", 1, second) == (0, True)
    assert sorted(actions(world)) == ["comment", "comment", "uncomment", "uncomment"]


def test_a_comment_belongs_to_its_writer(world: Connection, refused: Refused) -> None:
    comment, *_ = call(world, "comment_on_item", 7, "post", 1, "Mine")
    with refused("NV403") as refusal:
        call(world, "delete_comment", 8, "post", 1, comment)
    assert refusal.field == "comment_id"
    for item_type, item, number in [("post", 1, comment + 1), ("post", 2, comment)]:
        with refused("NV404") as refusal:
            call(world, "delete_comment", 7, item_type, item, number)
        assert refusal.field == "comment_id"


def test_a_watch_counts_at_most_once_through(world: Connection) -> None:
    assert call(world, "watch_video", 7, 1, 9000, 2.5) == 1
    assert call(world, "watch_video", 8, 1, 1000) == 2
    row = world.execute("select completions, watch_ms from app.video_engagement").fetchone()
    assert row == (1, 10000)


def test_a_share_returns_the_shares(world: Connection) -> None:
    assert call(world, "share_item", 7, "video", 1, "sms") == 1
    assert call(world, "share_item", 8, "video", 1, None) == 2
    targets = world.execute("select user_id, share_target from app.shares").fetchall()
    assert targets == [(7, "sms")]


def test_a_hidden_video_stays_hidden(world: Connection) -> None:
    assert call(world, "hide_video", 7, 1) is True
    assert call(world, "hide_video", 7, 1) is True
    row = world.execute("select user_id, video_id, deleted from app.not_interested").fetchall()
    assert row == [(7, 1, False)]


def test_a_follow_comes_back_in_its_old_row_with_a_newer_version(world: Connection) -> None:
    versions = []
    for function, answered in [
        ("follow_user", (True, 1)),
        ("follow_user", (True, 1)),
        ("unfollow_user", (False, 0)),
        ("unfollow_user", (False, 0)),
        ("follow_user", (True, 1)),
    ]:
        assert call(world, function, 7, 1) == answered
        versions += world.execute("select _version, deleted from app.follows").fetchall()

    assert [deleted for _, deleted in versions] == [False, False, True, True, False]
    assert [v for v, _ in versions] == sorted(v for v, _ in versions)
    assert len({v for v, _ in versions}) == 3


def test_a_block_ends_the_follows_both_ways_and_lifting_it_does_not_restore_them(
    world: Connection,
) -> None:
    call(world, "follow_user", 7, 1)
    call(world, "follow_user", 1, 7)
    assert call(world, "block_user", 7, 1)[:2] == (True, True)
    assert call(world, "block_user", 7, 1)[:2] == (True, True)
    assert call(world, "unblock_user", 7, 1)[:2] == (False, False)
    assert call(world, "unblock_user", 7, 1)[:2] == (False, False)
    assert world.execute("select 1 from app.follows where not deleted").fetchall() == []


def test_nobody_follows_across_a_block(world: Connection, refused: Refused) -> None:
    call(world, "block_user", 7, 1)
    for viewer, other in ((7, 1), (1, 7)):
        with refused("NV403") as refusal:
            call(world, "follow_user", viewer, other)
        assert (refusal.index, refusal.field) == (None, "followee_id")
        assert "blocks, or is blocked by, this viewer" in refusal.message
    assert world.execute("select 1 from app.follows").fetchall() == []
    assert call(world, "follow_user", 7, 2) == (True, 1)

    call(world, "unblock_user", 7, 1)
    assert call(world, "follow_user", 7, 1) == (True, 1)
    assert call(world, "follow_user", 1, 7) == (True, 1)


def test_a_post_is_its_authors_to_delete(world: Connection, refused: Refused) -> None:
    post, _, followers = call(world, "create_post", 4711, "First! #hello", ["hello"])
    assert followers == []
    with refused("NV403"):
        call(world, "delete_post", 8, post)
    assert call(world, "delete_post", 4711, post) == (True, [])
    assert call(world, "delete_post", 4711, post) == (False, [])
    with refused("NV410") as refusal:
        call(world, "like_item", 7, "post", post)
    assert refusal.field == "post_id"


@pytest.mark.parametrize(
    ("code", "field", "function", "arguments"),
    [
        ("NV404", "video_id", "like_item", (7, "video", 99)),
        ("NV404", "post_id", "unlike_item", (7, "post", 99)),
        ("NV400", "item_type", "like_item", (7, "sound", 1)),
        ("NV404", "video_id", "watch_video", (7, 99, 5)),
        ("NV400", "watch_ms", "watch_video", (7, 1, -5)),
        ("NV400", "completion", "watch_video", (7, 1, 5, -0.5)),
        ("NV404", "video_id", "hide_video", (7, 99)),
        ("NV400", "body", "comment_on_item", (7, "video", 1, " \n")),
        ("NV404", "followee_id", "follow_user", (7, 99)),
        ("NV400", "followee_id", "follow_user", (7, 7)),
        ("NV400", "blocked_id", "block_user", (7, 7)),
        ("NV404", "followee_id", "unfollow_user", (7, 99)),
        ("NV404", "blocked_id", "unblock_user", (7, 99)),
        ("NV400", "body", "create_post", (7, "")),
        ("NV404", "post_id", "delete_post", (7, 99)),
    ],
)
def test_a_refusal_names_the_field(
    shared_world: Connection,
    refused: Refused,
    code: str,
    field: str,
    function: str,
    arguments: tuple[Any, ...],
) -> None:
    with refused(code) as refusal:
        call(shared_world, function, *arguments)
    assert refusal.field == field
    assert refusal.index is None
