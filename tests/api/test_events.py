"""POST /events: batches stored whole or not at all, each event once, faults named."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import redis
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from api.settings import Settings
from tests.api.conftest import Api, Token, World, new_id, problem_of, serving

EVENTS = "/api/v1/events"
JSON = {"Content-Type": "application/json"}
NOW = datetime.now(UTC).replace(microsecond=0)


def event(item_id: Any, /, **fields: Any) -> dict[str, Any]:
    """An event as a client sends it."""
    return {
        "event_time": NOW.isoformat(),
        "item_id": item_id,
        "item_type": "video",
        "action": "view",
        "device": "Pixel 9 schön",
        "app_ver": "1.2.3-rc.1+5",
        **fields,
    }


async def test_a_batch_is_stored_once(writing: Api, bearer: Token, world: World) -> None:
    me = bearer(world.viewer)
    request = "3f2b0f5e-9a43-4c2e-8f6e-0123456789ab"
    batch = [
        event(str(world.video), watch_ms=900, completion=0.5, feed_request_id=request),
        event(world.videos[1], completion=None, dwell_ms=None, unknown=[{"a": "b"}]),
        event(world.video, watch_ms=900),  # the first, again
        event(world.post, item_type="post", action="impression", dwell_ms=3_600_000),
        event(world.video, action="like", user_id=str(world.other), author_id="1"),
        event(world.deleted_video, event_time=(NOW - timedelta(days=3)).isoformat()),
    ]
    first = await writing.post(EVENTS, headers=me, json={"events": batch, "more": 1})
    assert (first.status_code, first.json()) == (202, {"received": 6, "deduped": 1})
    again = await writing.post(EVENTS, headers=me, json={"events": batch})
    assert again.json() == {"received": 6, "deduped": 6}
    assert world.events(user_id=world.viewer) == world.events() == 5
    query = "select author_id from app.events where user_id = %s and action = 'like'"
    assert world.one(query, world.viewer) == world.creator
    empty = await writing.post(EVENTS, headers=me, json={"events": []})
    assert (empty.status_code, empty.json()) == (202, {"received": 0, "deduped": 0})


async def test_events_of_unknown_items_wait(writing: Api, bearer: Token, world: World) -> None:
    """They are received, and the answer says so only then."""
    batch = {"events": [event(world.video), event(new_id())]}
    response = await writing.post(EVENTS, headers=bearer(world.viewer), json=batch)
    assert response.json() == {"received": 2, "deduped": 0, "queued": 1}
    assert world.events() == 1


FAULTS: list[tuple[str, Any]] = [
    ("event_time", None),
    ("event_time", "2026-11-21"),
    ("event_time", "2026-11-21T12:00:00"),
    ("event_time", "2999-01-01T00:00:00Z"),
    ("event_time", "1999-01-01T00:00:00Z"),
    ("item_id", ""),
    ("item_id", -1),
    ("item_id", 1.5),
    ("item_id", 2**63),
    ("item_id", str(2**63)),
    ("item_id", "12 "),
    ("item_id", True),
    ("item_type", "reel"),
    ("action", "uncomment"),
    ("action", "x" * 1_000),
    ("dwell_ms", -1),
    ("dwell_ms", 3_600_001),
    ("dwell_ms", 1.5),
    ("watch_ms", "long"),
    ("completion", 1.01),
    ("completion", "half"),
    ("device", ""),
    ("device", " \n"),
    ("device", "x" * 201),
    ("device", 5),
    ("app_ver", "1.2"),
    ("app_ver", "01.2.3"),
    ("app_ver", "1.2.3\n"),
    ("feed_request_id", "none"),
    # What msgspec alone is strict about.
    ("dwell_ms", "12"),
    ("author_id", [1]),
]


async def test_one_bad_event_refuses_the_batch(writing: Api, bearer: Token, world: World) -> None:
    me = bearer(world.viewer)
    for name, value in FAULTS:
        batch = [event(world.video), event(world.videos[1], **{name: value})]
        response = await writing.post(EVENTS, headers=me, json={"events": batch})
        problem_of(response, 400, "invalid-request", f"events[1].{name}")
    for name in ("event_time", "item_id", "item_type", "action", "device", "app_ver"):
        batch = [event(world.video), event(world.videos[1])]
        del batch[1][name]
        response = await writing.post(EVENTS, headers=me, json={"events": batch})
        problem_of(response, 400, "invalid-request", f"events[1].{name}")
    assert world.events() == 0


async def test_every_faulty_field_is_named(writing: Api, bearer: Token, world: World) -> None:
    batch = [
        event(world.video, device="", action="nap"),
        event(world.video),
        7,
        event("x", app_ver="new", event_time="soon"),
    ]
    response = await writing.post(EVENTS, headers=bearer(world.viewer), json={"events": batch})
    fields = ["[0].action", "[0].device", "[2]", "[3].event_time", "[3].item_id", "[3].app_ver"]
    problem_of(response, 400, "invalid-request", *(f"events{field}" for field in fields))
    assert world.events() == 0


async def test_who_finds_a_fault_does_not_hide_what_the_other_finds(
    writing: Api, bearer: Token, world: World, storing: Settings
) -> None:
    """Of types msgspec knows more, of times and actions Postgres; NUL is none it can read."""
    nul = "a\0"
    long_ago = "1999-01-01T00:00:00Z"
    cases: list[tuple[list[Any], list[str]]] = [
        (
            [event(world.video, dwell_ms="5"), event(world.video, app_ver="x")],
            ["[0].dwell_ms", "[1].app_ver"],
        ),
        ([event(world.video, dwell_ms="5", author_id=[1])], ["[0].author_id", "[0].dwell_ms"]),
        ([event(world.video, device=nul)], ["[0].device"]),
        (
            [7, event(world.video, app_ver=nul), event(world.video, event_time=long_ago)],
            ["[0]", "[1].app_ver", "[2].event_time"],
        ),
        (
            [{"device": nul}],
            [
                f"[0].{name}"
                for name in ("event_time", "item_id", "item_type", "action", "device", "app_ver")
            ],
        ),
    ]
    me = bearer(world.viewer)
    for batch, fields in cases:
        response = await writing.post(EVENTS, headers=me, json={"events": batch})
        problem_of(response, 400, "invalid-request", *(f"events{field}" for field in fields))
    many = [event(world.video, dwell_ms="5", app_ver="x")] * 100
    response = await writing.post(EVENTS, headers=me, json={"events": many})
    errors = response.json()["errors"]
    assert len(errors) == 100
    assert errors[0] == {
        "field": "events[0].app_ver",
        "message": "must be a semantic version, such as 2.10.3",
    }
    away = msgspec.structs.replace(storing, postgres_url="postgresql://nobody@127.0.0.1:1/nova")
    async with serving(away) as alone:
        response = await alone.post(EVENTS, headers=me, json={"events": many[:2]})
    fields = [f"events[{index}].{name}" for index in (0, 1) for name in ("app_ver", "dwell_ms")]
    problem_of(response, 400, "invalid-request", *fields)
    assert world.events() == 0


async def test_a_token_that_outlived_its_user(writing: Api, bearer: Token, world: World) -> None:
    me = bearer(world.deleted_user)
    watch = {"video_id": world.video, "completion_percent": 1, "watch_ms": 1}
    for address, body in (
        (EVENTS, {"events": [event(world.video)]}),
        ("/api/v1/posts", {"body": "x"}),
        ("/api/v1/reels/watch", {"watches": [watch]}),
    ):
        problem_of(await writing.post(address, headers=me, json=body), 410, "gone", "sub")
        operation = (await writing.get("/schema/openapi.json")).json()["paths"][address]["post"]
        assert "410" in operation["responses"]
    assert world.events() == 0


NO_BATCHES = [
    (b"", "body"),
    (b"{", "body"),
    (b"\xff\xfe", "body"),
    (b"[]", "body"),
    (b"null", "body"),
    (b"{}", "events"),
    (b'{"events": null}', "events"),
    (b'{"events": {}}', "events"),
    (b'{"events": ' + b"[" * 300_000, "events[0]"),
    (b'{"events": ' + b"[" * 9_000 + b"]" * 9_000 + b"}", "events[0]"),
]


async def test_what_is_no_batch(writing: Api, bearer: Token, world: World) -> None:
    for content, field in NO_BATCHES:
        response = await writing.post(EVENTS, headers=bearer(world.viewer) | JSON, content=content)
        problem_of(response, 400, "invalid-request", field)


async def test_bounds_of_a_batch(writing: Api, bearer: Token, world: World) -> None:
    me = bearer(world.viewer)
    times = [(NOW - timedelta(seconds=n)).isoformat() for n in range(101)]
    batch = [event(world.video, event_time=time) for time in times]
    response = await writing.post(EVENTS, headers=me, json={"events": batch})
    problem_of(response, 400, "invalid-request", "events")
    assert world.events() == 0
    response = await writing.post(EVENTS, headers=me, json={"events": batch[:100]})
    assert response.json() == {"received": 100, "deduped": 0}
    large = {"events": [event(world.video, unknown="x" * 1_000_000)]}
    problem_of(await writing.post(EVENTS, headers=me, json=large), 413, "too-large")
    as_text = await writing.post(
        EVENTS, headers=me | {"Content-Type": "text/plain"}, content=b'{"events": []}'
    )
    problem_of(as_text, 415, "unsupported-media-type")
    problem_of(await writing.post(EVENTS, json={"events": []}), 401, "unauthenticated")


async def test_what_follows_from_a_batch(
    writing: Api, bearer: Token, world: World, storing: Settings
) -> None:
    """Counters are there when the answer is; a view does not rank anew, a like does."""
    touched = f"touched:v1:{{{world.viewer}}}"
    with redis.Redis.from_url(storing.redis_url) as client:
        view = {"events": [event(world.video)]}
        await writing.post(EVENTS, headers=bearer(world.viewer), json=view)
        assert client.exists(f"counts:v1:video:{world.video}")
        assert client.keys(f"seen:*{world.viewer}*")
        assert not client.exists(touched)
        like = {"events": [event(world.video, action="like")]}
        await writing.post(EVENTS, headers=bearer(world.viewer), json=like)
        assert client.exists(touched)


ANY_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from(["video", "post", "like", "view", NOW.isoformat(), "1.2.3", "1e400"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
FIELDS = st.sampled_from([*event(1), "dwell_ms", "watch_ms", "completion", "feed_request_id"])
ACTIONS = ["impression", "view", "dwell", "like", "unlike", "comment", "share", "not_interested"]


@st.composite
def batches(draw: st.DrawFn) -> Any:
    """Bodies from hopeless to good, most of them good but for one thing."""
    if draw(st.integers(0, 4)) == 0:
        return draw(ANY_JSON | st.fixed_dictionaries({"events": ANY_JSON}))
    events: list[Any] = [
        event(
            draw(st.integers(0, 9)),
            action=draw(st.sampled_from(ACTIONS)),
            item_type=draw(st.sampled_from(["video", "post"])),
            event_time=(NOW - timedelta(seconds=draw(st.integers(0, 9)))).isoformat(),
        )
        for _ in range(draw(st.integers(0, 5)))
    ]
    if events and draw(st.booleans()):
        events[draw(st.integers(0, len(events) - 1))][draw(FIELDS)] = draw(ANY_JSON)
    return {"events": events}


@hypothesis_settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(body=batches())
async def test_no_body_is_a_crash_or_stores_half_of_itself(
    writing: Api, bearer: Token, world: World, body: Any
) -> None:
    """Items 0 to 4 are known, by other ids; 5 to 9 are not."""
    known = dict(enumerate(world.videos)), dict(enumerate(world.posts))
    events = body.get("events") if isinstance(body, dict) else None
    for one in events if isinstance(events, list) else ():
        if isinstance(one, dict) and isinstance(one.get("item_id"), int):
            ids = known[one.get("item_type") == "post"]
            one["item_id"] = ids.get(one["item_id"], one["item_id"])

    stored_before = world.events()
    response = await writing.post(
        EVENTS, headers=bearer(world.viewer) | JSON, content=json.dumps(body)
    )
    stored = world.events() - stored_before
    if response.status_code == 202:
        answer = response.json()
        assert answer["received"] == len(body["events"])
        assert stored == answer["received"] - answer["deduped"] - answer.get("queued", 0)
    else:
        assert response.status_code == 400, response.text
        assert stored == 0
        assert response.json()["errors"]
