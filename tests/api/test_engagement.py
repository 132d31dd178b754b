"""Likes, playbacks, shares and "not interested": what they answer, change and refuse."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.api.conftest import Api, Token, World, new_id, problem_of

BASE = "/api/v1"
WATCH = {"completion_percent": 50, "watch_ms": 7_000}


def addresses(world: World) -> list[tuple[str, str]]:
    """A video and a post: type and address."""
    return [("video", f"{BASE}/reels/{world.video}"), ("post", f"{BASE}/posts/{world.post}")]


async def test_likes(writing: Api, bearer: Token, world: World) -> None:
    me, other = bearer(world.viewer), bearer(world.other)
    for item_type, item in addresses(world):
        assert (await writing.delete(f"{item}/like", headers=me)).json() == {
            "like_count": 0,
            "liked": False,
        }
        for _ in range(2):
            response = await writing.post(f"{item}/like", headers=me)
            assert (response.status_code, response.json()) == (
                200,
                {"like_count": 1, "liked": True},
            )
        assert (await writing.post(f"{item}/like", headers=other)).json()["like_count"] == 2
        for _ in range(2):
            response = await writing.delete(f"{item}/like", headers=me)
            assert response.json() == {"like_count": 1, "liked": False}
        assert world.events(item_type=item_type, action="like") == 2
        assert world.events(item_type=item_type, action="unlike") == 1


async def test_likes_at_once_agree_in_the_end(writing: Api, bearer: Token, world: World) -> None:
    address = f"{BASE}/reels/{world.video}/like"
    viewers = [bearer(new_id()) for _ in range(8)]

    async def waver(headers: dict[str, str]) -> None:
        for _ in range(4):
            assert (await writing.post(address, headers=headers)).json()["liked"]
            assert not (await writing.delete(address, headers=headers)).json()["liked"]
        assert (await writing.post(address, headers=headers)).json()["liked"]

    await asyncio.gather(*(waver(viewer) for viewer in viewers))
    answer = (await writing.post(address, headers=viewers[0])).json()
    assert answer == {"like_count": 8, "liked": True}


async def test_a_share(writing: Api, bearer: Token, world: World) -> None:
    for _, item in addresses(world):
        response = await writing.post(
            f"{item}/share", headers=bearer(world.viewer), json={"share_target": "x" * 64}
        )
        assert (response.status_code, response.json()) == (200, {"share_count": 1})
    viewers_shares = "select count(*) from app.shares where user_id = %s and share_target = %s"
    assert world.one(viewers_shares, world.viewer, "x" * 64) == 2


async def test_a_playback(writing: Api, bearer: Token, world: World) -> None:
    me, address = bearer(world.viewer), f"{BASE}/reels/{world.video}/watch"
    at = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    request = "3f2b0f5e-9a43-4c2e-8f6e-0123456789ab"
    playback = {"completion_percent": 12.5, "watch_ms": 900, "event_time": at.isoformat()}
    for _ in range(2):  # the same second: the same playback
        response = await writing.post(
            address, headers=me, json=playback | {"feed_request_id": request, "unknown": 1}
        )
        assert (response.status_code, response.json()) == (200, {"view_count": 1})
    stored = world.postgres.execute(
        "select event_time, completion, watch_ms, feed_request_id::text from app.events "
        "where user_id = %s",
        (world.viewer,),
    ).fetchall()
    assert stored == [(at, 0.125, 900, request)]
    assert (await writing.post(address, headers=me, json=WATCH)).json() == {"view_count": 2}


async def test_a_batch_of_playbacks(writing: Api, bearer: Token, world: World) -> None:
    me, address = bearer(world.viewer), f"{BASE}/reels/watch"
    at = datetime.now(UTC).isoformat()
    watches = [
        WATCH | {"video_id": str(world.video), "event_time": at},
        WATCH | {"video_id": world.videos[1], "event_time": at},
        WATCH | {"video_id": world.video, "event_time": at},
        WATCH | {"video_id": world.deleted_video, "event_time": at, "feed_request_id": None},
    ]
    first = await writing.post(address, headers=me, json={"watches": watches})
    assert (first.status_code, first.json()) == (200, {"received": 4, "deduped": 1})
    again = await writing.post(address, headers=me, json={"watches": watches})
    assert again.json() == {"received": 4, "deduped": 4}
    completions = "select sum(completion) from app.events where user_id = %s"
    assert world.one(completions, world.viewer) == 1.5
    empty = await writing.post(address, headers=me, json={"watches": []})
    assert (empty.status_code, empty.json()) == (200, {"received": 0, "deduped": 0})


BAD_PLAYBACKS: list[tuple[dict[str, Any], int, str]] = [
    ({"completion_percent": 100.1}, 400, "completion_percent"),
    ({"watch_ms": -1}, 400, "watch_ms"),
    ({"watch_ms": None}, 400, "watch_ms"),
    ({"video_id": "one"}, 400, "video_id"),
    ({"video_id": 2**63 - 1}, 404, "video_id"),
    ({"event_time": "2001-01-01T00:00:00Z"}, 400, "event_time"),
    ({"feed_request_id": "x"}, 400, "feed_request_id"),
]


async def test_one_bad_playback_refuses_the_batch(
    writing: Api, bearer: Token, world: World
) -> None:
    good = WATCH | {"video_id": world.video}
    for fault, status, field in BAD_PLAYBACKS:
        watches = {"watches": [good, good | fault]}
        response = await writing.post(
            f"{BASE}/reels/watch", headers=bearer(world.viewer), json=watches
        )
        slug = {400: "invalid-request", 404: "not-found"}[status]
        problem_of(response, status, slug, f"watches[1].{field}")
    assert world.events() == 0


async def test_more_than_100_playbacks(writing: Api, bearer: Token, world: World) -> None:
    watches = [WATCH | {"video_id": world.video}] * 101
    response = await writing.post(
        f"{BASE}/reels/watch", headers=bearer(world.viewer), json={"watches": watches}
    )
    problem_of(response, 400, "invalid-request", "watches")


async def test_not_interested(writing: Api, bearer: Token, world: World) -> None:
    for _ in range(2):
        response = await writing.post(
            f"{BASE}/reels/{world.video}/not-interested", headers=bearer(world.viewer)
        )
        assert (response.status_code, response.json()) == (200, {"hidden": True})
    hidden = "select count(*) from app.not_interested where user_id = %s"
    assert world.one(hidden, world.viewer) == 1


SENT: list[tuple[str, str, dict[str, Any] | None]] = [
    ("POST", "like", None),
    ("DELETE", "like", None),
    ("POST", "share", {"share_target": "mail"}),
    ("POST", "comments", {"body": "so it is"}),
    ("GET", "comments", None),
    ("DELETE", "comments/1", None),
    ("POST", "watch", WATCH),
    ("POST", "not-interested", None),
]


async def test_what_is_not_there(writing: Api, bearer: Token, world: World) -> None:
    for method, action, body in SENT:
        kinds = [("reels", world.deleted_video)]
        if action not in ("watch", "not-interested"):
            kinds.append(("posts", world.deleted_post))
        for kind, deleted in kinds:
            for item_id, status, slug in (
                (new_id(), 404, "not-found"),
                (2**63, 404, "not-found"),
                (deleted, 410, "gone"),
                ("one", 400, "invalid-request"),
                (-1, 400, "invalid-request"),
                ("9" * 400, 404, "not-found"),
            ):
                address = f"{BASE}/{kind}/{item_id}/{action}"
                response = await writing.request(
                    method, address, headers=bearer(world.viewer), json=body
                )
                problem_of(response, status, slug, "item_id")
    assert world.events() == 0


BAD_BODIES: list[tuple[str, Any, str]] = [
    ("share", {}, "share_target"),
    ("share", {"share_target": ""}, "share_target"),
    ("share", {"share_target": " \t"}, "share_target"),
    ("share", {"share_target": "x" * 65}, "share_target"),
    ("share", {"share_target": "a\0b"}, "share_target"),
    ("share", {"share_target": None}, "share_target"),
    ("share", [], "body"),
    ("share", None, "body"),
    ("watch", WATCH | {"completion_percent": -0.1}, "completion_percent"),
    ("watch", WATCH | {"completion_percent": "50"}, "completion_percent"),
    ("watch", WATCH | {"watch_ms": 1.5}, "watch_ms"),
    ("watch", WATCH | {"watch_ms": 86_400_001}, "watch_ms"),
    ("watch", {"completion_percent": 1}, "watch_ms"),
    ("watch", {"watch_ms": 1}, "completion_percent"),
    ("watch", WATCH | {"feed_request_id": "1"}, "feed_request_id"),
    ("watch", WATCH | {"event_time": "2026-11-21T12:00:00"}, "event_time"),
    ("watch", WATCH | {"event_time": "2999-01-01T00:00:00Z"}, "event_time"),
    ("watch", WATCH | {"event_time": "2001-01-01T00:00:00Z"}, "event_time"),
]


async def test_bad_bodies_name_the_field(writing: Api, bearer: Token, world: World) -> None:
    for action, body, field in BAD_BODIES:
        response = await writing.post(
            f"{BASE}/reels/{world.video}/{action}", headers=bearer(world.viewer), json=body
        )
        problem_of(response, 400, "invalid-request", field)
    assert world.events() == 0


async def test_refusals_say_in_words_what_is_expected(
    writing: Api, bearer: Token, world: World
) -> None:
    video = f"{BASE}/reels/{world.video}"
    for address, body, key, message in (
        (f"{video}/comments", {"body": " "}, "k", "a text that is not blank"),
        (f"{BASE}/posts", {"body": "x", "hashtags": ["#x"]}, "k", "a text without hash signs"),
        (f"{BASE}/reels/one/share", {"share_target": "mail"}, "k", "an id, in digits"),
        (f"{BASE}/reels/watch", {"watches": [WATCH | {"video_id": "one"}]}, "k", "a 63-bit id"),
        (f"{video}/share", {"share_target": "mail"}, "tab\there", "of printable ASCII characters"),
    ):
        headers = bearer(world.viewer) | {"Idempotency-Key": key}
        response = await writing.post(address, headers=headers, json=body)
        [error] = response.json()["errors"]
        problem_of(response, 400, "invalid-request", error["field"])
        assert error["message"].startswith(f"must be {message}")
        assert error["message"] in response.json()["detail"]


async def test_bodies_that_are_no_json(writing: Api, bearer: Token, world: World) -> None:
    address, me = f"{BASE}/reels/{world.video}/share", bearer(world.viewer)
    for content in (b"", b"{", b"\xff", b'{"share_target": "\\ud800"}', b"[" * 500_000):
        response = await writing.post(
            address, headers=me | {"Content-Type": "application/json"}, content=content
        )
        body = response.json()
        assert (response.status_code, body["type"].rpartition("/")[2]) == (400, "invalid-request")
        assert body["errors"][0]["field"] in ("body", "share_target")
    form = await writing.post(address, headers=me, data={"share_target": "x"})
    problem_of(form, 415, "unsupported-media-type")
    large = await writing.post(address, headers=me, json={"share_target": "x" * 1_000_000})
    problem_of(large, 413, "too-large")


async def test_keys_make_requests_repeatable(writing: Api, bearer: Token, world: World) -> None:
    me, other = bearer(world.viewer), bearer(world.other)
    video = f"{BASE}/reels/{world.video}"
    other_video = WATCH | {"video_id": str(world.videos[1])}
    for address, body, changed in (
        (f"{video}/watch", WATCH, WATCH | {"watch_ms": 1}),
        (f"{BASE}/reels/watch", {"watches": [other_video]}, {"watches": [other_video] * 2}),
        (f"{video}/share", {"share_target": "mail"}, {"share_target": "sms"}),
        (f"{video}/comments", {"body": "first"}, {"body": "second"}),
        (f"{BASE}/posts", {"body": "hello"}, {"body": "bye"}),
    ):
        key = {"Idempotency-Key": "~" * 255}
        # Also at once: one does it, and all answer the same.
        answers = await asyncio.gather(
            *(writing.post(address, headers=me | key, json=body) for _ in range(4))
        )
        assert {answer.status_code for answer in answers} <= {200, 201}
        assert len({answer.text for answer in answers}) == 1
        reused = await writing.post(address, headers=me | key, json=changed)
        problem_of(reused, 422, "idempotency-key-reused", "Idempotency-Key")
        assert (await writing.post(address, headers=other | key, json=changed)).is_success
        for bad in ("", "x" * 256, "tab\there", "ü".encode()):
            response = await writing.post(address, headers=me | {"Idempotency-Key": bad}, json=body)
            problem_of(response, 400, "invalid-request", "Idempotency-Key")
    for action, count in (("view", 2), ("share", 1), ("comment", 1)):
        assert world.events(user_id=world.viewer, action=action) == count
        assert world.events(user_id=world.other, action=action) == count
    for author in (world.viewer, world.other):
        assert world.one("select count(*) from app.posts where author_id = %s", author) == 1


async def test_a_token_is_required(writing: Api, world: World) -> None:
    for method, action, body in SENT:
        response = await writing.request(method, f"{BASE}/reels/{world.video}/{action}", json=body)
        problem_of(response, 401, "unauthenticated")
    problem_of(await writing.post(f"{BASE}/reels/watch", json={}), 401, "unauthenticated")
    assert world.events() == 0
