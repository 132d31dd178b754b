"""What a client may send: one set of rules, every fault told, and nothing else ever goes wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

Connection = psycopg.Connection[Any]
Event = Callable[..., dict[str, Any]]
Refused = Callable[[str], Any]

COUNT = "select (select count(*) from app.events), (select count(*) from app.unknown_item_events)"
INGEST = "select received, deduped, queued from app.ingest_events(7, %s)"

# What the type jsonb holds: the function never sees the rest.
finite_floats = st.floats(allow_nan=False, allow_infinity=False)
text = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | finite_floats | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner),
    max_leaves=8,
)
just_now = datetime.now(UTC).replace(microsecond=0)
# Around 30 days nothing: a time must not turn too old between two statements of a test.
seconds = st.integers(-2_591_000, 200) | st.integers(-3_000_000, -2_593_000)
times = seconds.map(lambda s: (just_now + timedelta(seconds=s)).isoformat())
odd_numbers = st.sampled_from(
    [0, -1, 1.5, 1e308, 10**30, 2**63, 2**63 - 1, True, False, None, "", "1", "01", "-1", "1e3"]
)
# Good values, odd ones, and anything at all; good ones are likely, so that whole batches are good.
FIELDS = {
    "event_time": times
    | st.sampled_from(
        ["2026-02-30T00:00:00Z", "12-11-2026T00:00:00Z", "infinity", "now", "  12-01-26T12:00:00Z"]
    ),
    "item_id": st.integers(0, 30) | st.integers(0, 30).map(str) | odd_numbers,
    "item_type": st.sampled_from(["video", "post", "video", "Video", ["video"]]),
    "action": st.sampled_from(
        ["view", "impression", "like", "unlike", "not_interested", "comment", "uncomment", "", {}]
    ),
    "dwell_ms": st.integers(-1, 4_000_000) | odd_numbers,
    "watch_ms": st.integers(-1, 90_000_000) | odd_numbers,
    "completion": st.floats(0, 1) | odd_numbers | st.just(1e-300),
    "device": text | st.sampled_from(["phone", "", " ", "x" * 200, "x" * 201, 5, True]),
    "app_ver": st.sampled_from(
        ["1.2.3", "1.0.0-rc.1+5", "1.2", "01.2.3", "1.0.0-01", 1.2, "v1.2.3"]
    ),
    "feed_request_id": st.uuids().map(str) | odd_numbers | st.just("1" * 32),
}
GOOD = {
    "event_time": just_now.isoformat(),
    "item_id": "1",
    "item_type": "video",
    "action": "view",
    "device": "phone",
    "app_ver": "1.2.3",
}


@st.composite
def events(draw: st.DrawFn) -> Any:
    """An event with few fields changed, or something else altogether."""
    if draw(st.integers(0, 20)) == 0:
        return draw(json_values)
    changed = draw(st.lists(st.sampled_from(sorted(FIELDS)), max_size=3, unique=True))
    event = dict(GOOD)
    for name in changed:
        if draw(st.integers(0, 5)) == 0:
            event[name] = draw(json_values)
        else:
            event[name] = draw(FIELDS[name])
    return event


def problems(connection: Connection, body: str) -> list[Any]:
    return connection.execute(
        "select index, field, message from app.event_problems(%s::jsonb)", (body,)
    ).fetchall()


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(batch=st.lists(events(), max_size=5) | json_values)
def test_any_json_is_stored_as_a_whole_or_refused_as_a_whole(
    shared_world: Connection, batch: Any
) -> None:
    """And refused exactly when event_problems says why: the quick check and the list agree."""
    body = json.dumps(batch)
    before = shared_world.execute(COUNT).fetchone()
    try:
        row = shared_world.execute(INGEST, (body,)).fetchone()
    except psycopg.Error as exc:
        assert exc.sqlstate == "NV400", exc
        assert shared_world.execute(COUNT).fetchone() == before
        told = json.loads(exc.diag.message_detail or "")["errors"]
        assert told
        listed = problems(shared_world, body)
        assert [(e["index"], e["field"], e["message"]) for e in told] == listed
        return

    assert row is not None
    received, deduped, queued = row
    assert received == len(batch)
    assert problems(shared_world, body) == []
    after = shared_world.execute(COUNT).fetchone()
    assert before is not None
    assert after == (before[0] + received - deduped - queued, before[1] + queued)


def test_every_faulty_field_of_every_bad_event_is_told(
    shared_world: Connection, refused: Refused, event: Event
) -> None:
    with refused("NV400") as refusal:
        shared_world.execute(
            INGEST,
            (
                json.dumps(
                    [
                        event(device="", dwell_ms=3_600_001),
                        event(),
                        event("impression", watch_ms=5, completion=0.5, app_ver="1"),
                        "event",
                        {},
                    ]
                ),
            ),
        )
    assert [(error["index"], error["field"]) for error in refusal.errors] == [
        (0, "dwell_ms"),
        (0, "device"),
        (2, "watch_ms"),
        (2, "completion"),
        (2, "app_ver"),
        (3, "event"),
        *[(4, field) for field in ("event_time", "item_id", "item_type", "action")],
        (4, "device"),
        (4, "app_ver"),
    ]
    assert all(error["message"] for error in refusal.errors)


def test_at_most_a_hundred_faults_are_told(shared_world: Connection, refused: Refused) -> None:
    with refused("NV400") as refusal:
        shared_world.execute(INGEST, (json.dumps([{}] * 100),))
    assert len(refusal.errors) == 100


@pytest.mark.parametrize(
    ("version", "is_good"),
    [
        *[
            (version, True)
            for version in (
                "0.0.4",
                "1.2.3",
                "10.20.30",
                "1.1.2-prerelease+meta",
                "1.1.2+meta-valid",
                "1.0.0-alpha.0valid",
                "1.0.0-rc.1+build.1",
                "1.2.3----RC-SNAPSHOT.12.9.1--.12+788",
                "1.0.0+0.build.1-rc.10000aaa-kk-0.1",
                "99999999999999999999.0.0",
                "1.0.0-0A.is.legal",
            )
        ],
        *[
            (version, False)
            for version in (
                "1",
                "1.2",
                "1.2.3-0123",
                "1.2.3-0123.0123",
                "1.1.2+.123",
                "+invalid",
                "-invalid",
                "alpha.beta",
                "1.0.0-alpha_beta",
                "1.0.0-alpha..",
                "01.1.1",
                "1.01.1",
                "1.1.01",
                "1.2.3.DEV",
                "1.2-SNAPSHOT",
                "1.0.0+a+b",
                "1.2.3 ",
                "1.2.3\n",
                "1.2.٣",
                "1.0.0-" + "a" * 95,
            )
        ],
    ],
)
def test_semantic_versions_are_those_of_semver_org(
    shared_world: Connection, version: str, is_good: bool
) -> None:
    row = shared_world.execute("select app.is_semantic_version(%s)", (version,)).fetchone()
    assert row == (is_good,)


@pytest.mark.parametrize(
    ("time", "is_good"),
    [
        ("2026-11-21T12:00:00Z", True),
        ("2026-11-21t12:00:00.123456z", True),
        ("2026-11-21 12:00:00+05:30", True),
        ("2026-11-21T12:00:00", False),
        ("2026-11-21T12:00Z", False),
        ("2026-11-21T12:00:00 Z", False),
        ("2026-11-21T12:00:00.Z", False),
        ("2026-11-21T25:00:00Z", False),
        ("2026-02-29T12:00:00Z", False),
        ("2026-11-21T12:00:00+99:00", False),
        ("  11-21-26T12:00:00Z", False),
        ("2026-11-21T12:00:00Z\n", False),
        ("infinity", False),
    ],
)
def test_event_times_are_rfc_3339_with_offset(
    shared_world: Connection, time: str, is_good: bool
) -> None:
    row = shared_world.execute("select app.is_event_time(%s)", (time,)).fetchone()
    assert row == (is_good,)


@pytest.mark.parametrize(
    ("ago", "is_good"),
    [
        (timedelta(days=29, hours=23), True),
        (timedelta(days=30, minutes=1), False),
        (timedelta(days=34), False),
    ],
)
@pytest.mark.parametrize(
    "query",
    [
        "select app.ingest_events(7, jsonb_build_array(%(event)s::jsonb))",
        "select app.watch_videos(7, jsonb_build_array(%(watch)s::jsonb))",
        "select app.watch_video(7, 1, 5, p_event_time => %(at)s)",
    ],
)
def test_a_client_reports_at_most_thirty_days_back(
    world: Connection,
    refused: Refused,
    event: Event,
    now: datetime,
    query: str,
    ago: timedelta,
    is_good: bool,
) -> None:
    """Partitions reach further back, the analytical store does not."""
    at = now - ago
    partition = world.execute("select app.has_event_partition(%s)", (at,)).fetchone()
    assert partition == (True,)
    arguments = {
        "event": json.dumps(event(event_time=at.isoformat())),
        "watch": json.dumps({"video_id": 1, "watch_ms": 5, "event_time": at.isoformat()}),
        "at": at,
    }
    if is_good:
        world.execute(query, arguments)
    else:
        with refused("NV400") as refusal:
            world.execute(query, arguments)
        assert refusal.field == "event_time"
        assert refusal.message == "must not be older than 30 days"
    stored = world.execute("select event_time from app.events").fetchall()
    assert stored == ([(at,)] if is_good else [])


def test_a_bulk_import_reaches_as_far_back_as_partitions(world: Connection, now: datetime) -> None:
    at = now - timedelta(days=34)
    with world.transaction():
        world.execute("select app.open_pending_events()")
        world.execute(
            "insert into pending_events (position, user_id, item_type, item_id, action, event_time,"
            " device, app_ver) values (0, 7, 'video', 1, 'view', %s, 'phone', '1.2.3')",
            (at,),
        )
        row = world.execute("select * from app.record_events()").fetchone()
    assert row == (1, 0)
    assert world.execute("select event_time from app.events").fetchall() == [(at,)]
