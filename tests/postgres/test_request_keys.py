"""A request with a key is carried out once a day, however often it is sent."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

Connection = psycopg.Connection[Any]
Refused = Callable[[str], Any]

# Each function with a request of its own, another request, and what it counts.
REQUESTS: dict[str, tuple[str, str, str]] = {
    "share_item": (
        "app.share_item(7, 'video', 1, 'sms', %s)",
        "app.share_item(7, 'video', 1, 'mail', %s)",
        "select count(*) from app.events where action = 'share'",
    ),
    "watch_video": (
        "app.watch_video(7, 1, 4000, p_request_key => %s)",
        "app.watch_video(7, 1, 4001, p_request_key => %s)",
        "select count(*) from app.events where action = 'view'",
    ),
    "watch_videos": (
        """app.watch_videos(7, '[{"video_id": 1, "watch_ms": 4000}]', %s)""",
        """app.watch_videos(7, '[{"video_id": 1, "watch_ms": 4001}]', %s)""",
        "select count(*) from app.events where action = 'view'",
    ),
    "comment_on_item": (
        r"app.comment_on_item(7, 'post', 1, E'\\x \u00fc 1', %s)",
        r"app.comment_on_item(7, 'post', 1, E'\\x \u00fc 2', %s)",
        "select count(*) from app.comments",
    ),
    "create_post": (
        "app.create_post(7, 'Hello', array['a'], %s)",
        "app.create_post(7, 'Hello', array['b'], %s)",
        "select count(*) from app.posts where author_id = 7",
    ),
}


def send(connection: Connection, request: str, key: str | None) -> dict[str, Any]:
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(f"select * from {request}", (key,)).fetchone()
    assert row is not None
    return row


def count(connection: Connection, query: str) -> int:
    row = connection.execute(query).fetchone()
    assert row is not None
    return int(row[0])


def next_second() -> None:
    """Shares and views are the same within a second, also without a key."""
    time.sleep(1.05 - time.time() % 1)


@pytest.mark.parametrize("function", REQUESTS)
def test_a_repeated_request_gets_the_first_answer_and_changes_nothing(
    world: Connection, function: str
) -> None:
    request, _, counted = REQUESTS[function]
    first = send(world, request, "key")
    next_second()
    # Somebody else in between: the totals move, the answer does not.
    world.execute("select app.share_item(8, 'video', 1, null)")
    world.execute("select app.comment_on_item(8, 'post', 1, 'Me too')")
    world.execute("select app.watch_video(8, 1, 1)")
    before = count(world, counted)

    again = send(world, request, "key")

    assert {**again, "changed": None} == {**first, "changed": None}
    assert count(world, counted) == before
    for item in again["changed"]:
        assert item[2] > first["changed"][0][2], "a retry repairs caches with what is true now"
    assert send(world, request, "another key") != again
    assert count(world, counted) == before + 1


@pytest.mark.parametrize("function", REQUESTS)
def test_another_request_with_the_same_key_is_refused(
    world: Connection, refused: Refused, function: str
) -> None:
    request, other, _ = REQUESTS[function]
    send(world, request, "key")
    with refused("NV422") as refusal:
        send(world, other, "key")
    assert refusal.field == "request_key"


def test_keys_belong_to_a_user_and_a_function(world: Connection) -> None:
    answers = [
        send(world, f"app.{call}", "key")
        for call in (
            "share_item(7, 'video', 1, null, %s)",
            "share_item(8, 'video', 1, null, %s)",
            "watch_video(7, 1, 5, p_request_key => %s)",
        )
    ]
    assert [answer.get("share_count") for answer in answers] == [1, 2, None]


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_a_key_has_1_to_255_characters(world: Connection, refused: Refused, key: str) -> None:
    with refused("NV400") as refusal:
        send(world, REQUESTS["create_post"][0], key)
    assert refusal.field == "request_key"
    send(world, REQUESTS["create_post"][0], "x" * 255)


def test_a_key_is_forgotten_after_a_day_also_before_housekeeping_comes(world: Connection) -> None:
    request, other, counted = REQUESTS["create_post"]
    send(world, request, "key")
    world.execute("update app.request_keys set created_at = now() - interval '25 hours'")
    assert send(world, other, "key") == {**send(world, other, "key")}
    assert count(world, counted) == 2


def test_a_refused_request_leaves_its_key_unused(world: Connection, refused: Refused) -> None:
    with refused("NV404"):
        send(world, "app.share_item(7, 'video', 99, null, %s)", "key")
    assert send(world, "app.share_item(7, 'video', 1, null, %s)", "key")["share_count"] == 1


@pytest.mark.parametrize("function", REQUESTS)
def test_of_equal_requests_at_once_one_is_carried_out(
    postgres_url: str, world: Connection, function: str
) -> None:
    request, _, counted = REQUESTS[function]

    def press(number: int) -> str:
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            for n in range(number % 2, 4):
                answer = send(connection, request, f"key {n}")
            # The totals are those of now, and others may be a key behind.
            return str({**answer, "changed": None})

    with ThreadPoolExecutor(8) as pool:
        last = list(pool.map(press, range(8), timeout=60))
    assert len(set(last)) == 1
    assert count(world, "select count(*) from app.request_keys") == 4
    if function in ("comment_on_item", "create_post"):
        assert count(world, counted) == 4
