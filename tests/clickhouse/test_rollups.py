"""Insert events, read the rollups: what is counted, what is not, and what counts once."""

from __future__ import annotations

import itertools
import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client

from api.migrate import statements

MIGRATIONS = Path(__file__).parents[2] / "clickhouse" / "migrations"

HOUR = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=30)

# Tests share a database: each takes ids nobody else has.
FRESH_IDS = itertools.count(7_700_000_000_000, 1_000)

COLUMNS = [
    "event_time",
    "user_id",
    "item_id",
    "item_type",
    "author_id",
    "action",
    "dwell_ms",
    "watch_ms",
    "completion",
    "idempotent_key",
]


@pytest.fixture
def clickhouse(clickhouse_url: str) -> Iterator[Client]:
    with clickhouse_connect.get_client(dsn=clickhouse_url, autogenerate_session_id=False) as client:
        yield client


def event(action: str, **given: Any) -> dict[str, Any]:
    return {
        "event_time": HOUR,
        "user_id": 1,
        "item_id": 1,
        "item_type": "video",
        "author_id": 9,
        "action": action,
        "dwell_ms": 0,
        "watch_ms": 0,
        "completion": -1.0,
        "idempotent_key": 0,
        **given,
    }


def send(clickhouse: Client, events: list[dict[str, Any]], token: str = "") -> None:
    rows = [[one[column] for column in COLUMNS] for one in events]
    settings = {"async_insert": 0, "insert_deduplication_token": token} if token else {}
    clickhouse.insert("raw.events", rows, column_names=COLUMNS, settings=settings)


def read(clickhouse: Client, rollup: str, what: str, where: str) -> list[tuple[Any, ...]]:
    rows = clickhouse.query(f"select {what} from raw.{rollup} where {where}").result_rows
    return [tuple(row) for row in rows]


def test_every_rollup_equals_a_recount(clickhouse: Client) -> None:
    first = next(FRESH_IDS)
    chance = random.Random(7)
    actions = ["impression", "view", "dwell", "like", "unlike", "comment", "uncomment", "share"]
    events = [
        event(
            chance.choice([*actions, "not_interested", "profile_visit", "follow_from_item"]),
            event_time=HOUR + timedelta(seconds=chance.randrange(4 * 3600)),
            user_id=first + chance.randrange(5),
            item_id=first + chance.randrange(6),
            item_type=chance.choice(["video", "post"]),
            author_id=chance.choice([0, first, first + 1]),
            dwell_ms=chance.randrange(5_000),
            watch_ms=chance.randrange(9_000),
            completion=chance.choice([-1.0, 0.0, 0.25, 0.5, 1.0, 1.75]),
            idempotent_key=number,
        )
        for number in range(4_000)
    ]
    for start in range(0, len(events), 700):
        send(clickhouse, events[start : start + 700])

    videos: dict[tuple[int, datetime], Counter[str]] = defaultdict(Counter)
    posts: dict[tuple[int, int, datetime], Counter[str]] = defaultdict(Counter)
    actors: dict[tuple[int, int, datetime], Counter[str]] = defaultdict(Counter)
    pairs: dict[tuple[int, int, Any], Counter[str]] = defaultdict(Counter)
    seen: dict[tuple[int, str, int], list[datetime]] = defaultdict(list)
    for one in events:
        hour = one["event_time"].replace(minute=0, second=0)
        action, is_view = one["action"], one["action"] == "view"
        if one["item_type"] == "video":
            row = videos[one["item_id"], hour]
            if is_view:
                row["completions"] += min(max(one["completion"], 0), 1)
                row["known"] += one["completion"] >= 0
                row["watch_ms"] += one["watch_ms"]
        else:
            row = posts[one["item_id"], one["author_id"], hour]
            row["dwell_ms"] += one["dwell_ms"]
            minute = one["event_time"].replace(second=0)
            actors[one["item_id"], one["user_id"], minute][action] += 1
        row[action] += 1
        if one["author_id"]:
            pairs[one["user_id"], one["author_id"], one["event_time"].date()][action] += 1
        if is_view:
            seen[one["user_id"], one["item_type"], one["item_id"]].append(one["event_time"])

    mine = f">= {first}"
    assert {
        (video, hour.replace(tzinfo=UTC)): tuple(rest)
        for video, hour, *rest in read(
            clickhouse,
            "video_ranking_signals_1h",
            "video_id, hour, sum(impressions), sum(views), sum(completions), "
            "sum(known_completions), sum(watch_ms), sum(likes), sum(shares), sum(comments), "
            "sum(not_interested)",
            f"video_id {mine} and video_id < {first} + 1000 group by video_id, hour",
        )
    } == {
        key: (
            row["impression"],
            row["view"],
            row["completions"],
            row["known"],
            row["watch_ms"],
            row["like"] - row["unlike"],
            row["share"],
            row["comment"] - row["uncomment"],
            row["not_interested"],
        )
        for key, row in videos.items()
    }
    assert {
        (post, author, hour.replace(tzinfo=UTC)): tuple(rest)
        for post, author, hour, *rest in read(
            clickhouse,
            "post_metrics_1h",
            "post_id, author_id, hour, sum(exposures), sum(views), sum(likes), sum(comments), "
            "sum(shares), sum(dwell_ms_sum)",
            f"post_id {mine} and post_id < {first} + 1000 group by post_id, author_id, hour",
        )
    } == {
        key: (
            row["impression"],
            row["view"],
            row["like"] - row["unlike"],
            row["comment"] - row["uncomment"],
            row["share"],
            row["dwell_ms"],
        )
        for key, row in posts.items()
    }
    counted = {
        key: (
            row["like"] - row["unlike"],
            row["comment"] - row["uncomment"],
            row["share"],
        )
        for key, row in actors.items()
    }
    assert {
        (post, user, minute.replace(tzinfo=UTC)): tuple(rest)
        for post, user, minute, *rest in read(
            clickhouse,
            "post_actors_1m",
            "post_id, user_id, at_minute, sum(likes) as l, sum(comments) as c, sum(shares) as s",
            f"post_id {mine} and post_id < {first} + 1000 group by post_id, user_id, at_minute "
            "having l != 0 or c != 0 or s != 0",
        )
    } == {key: row for key, row in counted.items() if any(row)}
    assert {
        (user, author, day): tuple(rest)
        for user, author, day, *rest in read(
            clickhouse,
            "user_author_90d",
            "user_id, author_id, day, sum(likes), sum(comments), sum(views), sum(shares)",
            f"user_id {mine} and user_id < {first} + 1000 group by user_id, author_id, day",
        )
    } == {
        key: (
            row["like"] - row["unlike"],
            row["comment"] - row["uncomment"],
            row["view"],
            row["share"],
        )
        for key, row in pairs.items()
        if set(row) & {"like", "unlike", "comment", "uncomment", "view", "share"}
    }
    assert {
        (user, kind, item): (at.replace(tzinfo=UTC), watches)
        for user, kind, item, at, watches in read(
            clickhouse,
            "user_watch_history",
            "user_id, item_type, item_id, max(watched_at), sum(watches)",
            f"user_id {mine} and user_id < {first} + 1000 group by user_id, item_type, item_id",
        )
    } == {key: (max(times), len(times)) for key, times in seen.items()}


def test_a_block_sent_again_with_its_token_counts_once_everywhere(clickhouse: Client) -> None:
    item = next(FRESH_IDS)
    events = [
        event(action, user_id=item, item_id=item, item_type=kind, idempotent_key=number, **more)
        for number, (action, kind, more) in enumerate(
            [
                ("view", "video", {"completion": 0.5, "watch_ms": 100}),
                ("like", "video", {}),
                ("view", "post", {"dwell_ms": 40}),
                ("share", "post", {}),
                # Another month is another partition: each half is told apart by itself.
                ("view", "video", {"event_time": HOUR - timedelta(days=27)}),
            ]
        )
    ]
    for _ in range(3):
        send(clickhouse, events, token=f"sent again {item}")
    send(clickhouse, events, token=f"sent as new {item}")

    assert read(clickhouse, "events", "count()", f"item_id = {item}") == [(10,)]
    assert read(
        clickhouse,
        "video_ranking_signals_1h",
        "sum(views), sum(likes), sum(completions), sum(watch_ms)",
        f"video_id = {item}",
    ) == [(4, 2, 1.0, 200)]
    assert read(
        clickhouse, "post_metrics_1h", "sum(views), sum(dwell_ms_sum)", f"post_id = {item}"
    ) == [(2, 80)]
    assert read(clickhouse, "post_actors_1m", "sum(shares), sum(likes)", f"post_id = {item}") == [
        (2, 0)
    ]
    assert read(clickhouse, "user_author_90d", "sum(views), sum(likes)", f"user_id = {item}") == [
        (6, 2)
    ]
    assert read(clickhouse, "user_watch_history", "sum(watches)", f"user_id = {item}") == [(6,)]


def test_what_writes_into_the_hours_marks_the_video_also_when_it_is_sent_again(
    clickhouse: Client,
) -> None:
    """A repeat may be what completes the hours: a crash came between their block and its mark."""
    item = next(FRESH_IDS)
    marks = f"video_id between {item} and {item} + 2"
    videos = [event("view", item_id=item), event("like", item_id=item + 1, event_time=HOUR)]
    for _ in range(2):
        send(
            clickhouse,
            [*videos, event("view", item_id=item + 2, item_type="post")],
            token=f"{item}",
        )
        marked = read(clickhouse, "video_changes_1m", "distinct video_id", f"{marks} order by all")
        assert marked == [(item,), (item + 1,)]
        clickhouse.command(f"delete from raw.video_changes_1m where {marks}")

    clickhouse.command(
        "insert into raw.video_ranking_signals_1h (video_id, hour, views)"
        f" select {item} + 2, toStartOfHour(now() - interval 80 day), 1"
    )
    [(video, at)] = read(
        clickhouse, "video_changes_1m", "video_id, max(at_minute)", f"{marks} group by 1"
    )
    assert video == item + 2
    assert abs(datetime.now(UTC) - at.replace(tzinfo=UTC)) < timedelta(minutes=2)


def test_a_like_taken_back_is_subtracted_in_its_own_hour(clickhouse: Client) -> None:
    item = next(FRESH_IDS)
    send(
        clickhouse,
        [
            event("like", item_id=item),
            event("like", item_id=item, user_id=2),
            event("unlike", item_id=item, event_time=HOUR + timedelta(hours=1)),
        ],
    )
    assert read(
        clickhouse,
        "video_ranking_signals_1h",
        "sum(likes)",
        f"video_id = {item} group by hour order by hour",
    ) == [(2,), (-1,)]


def test_completion_is_clipped_and_unknown_is_not_zero_watched(clickhouse: Client) -> None:
    item = next(FRESH_IDS)
    send(
        clickhouse,
        [
            event("view", item_id=item, completion=1.8),
            event("view", item_id=item, completion=0.25),
            event("view", item_id=item, completion=-1.0),
            event("view", item_id=item, completion=float("nan")),
            event("impression", item_id=item, completion=0.5),
        ],
    )
    assert read(
        clickhouse,
        "video_ranking_signals_1h",
        "sum(views), sum(completions), sum(known_completions)",
        f"video_id = {item}",
    ) == [(4, 1.25, 2)]


def test_watch_history_keeps_the_last_time_and_how_often(clickhouse: Client) -> None:
    item = next(FRESH_IDS)
    for minutes in (5, 50, 20):
        at = HOUR + timedelta(minutes=minutes)
        send(clickhouse, [event("view", user_id=item, item_id=item, event_time=at)])
    send(clickhouse, [event("impression", user_id=item, item_id=item + 1)])
    clickhouse.command("optimize table raw.user_watch_history final")

    [(seen, at, watches)] = read(
        clickhouse, "user_watch_history", "item_id, watched_at, watches", f"user_id = {item}"
    )
    assert (seen, at.replace(tzinfo=UTC), watches) == (item, HOUR + timedelta(minutes=50), 3)


def test_reactions_of_before_the_rollup_are_counted_when_it_is_made(clickhouse: Client) -> None:
    """Migration 0017 adds what the rollup lacks; what it has, and a second run, add nothing."""
    post = next(FRESH_IDS)
    send(
        clickhouse,
        [
            event(action, item_type="post", item_id=post, user_id=user, event_time=at)
            for action, user, at in [
                ("like", 1, HOUR),
                ("unlike", 1, HOUR + timedelta(minutes=2)),
                ("comment", 2, HOUR),
                ("share", 2, HOUR),
                ("view", 3, HOUR),
            ]
        ],
    )
    what = "user_id, at_minute, sum(likes), sum(comments), sum(shares)"
    where = f"post_id = {post} group by user_id, at_minute order by all"
    counted = read(clickhouse, "post_actors_1m", what, where)
    assert [row[2:] for row in counted] == [(1, 0, 0), (-1, 0, 0), (0, 1, 1)]

    backfill = next(
        statement
        for statement in statements((MIGRATIONS / "0017_create_post_actors_1m.sql").read_text())
        if "insert into" in statement
    )
    clickhouse.command(f"delete from raw.post_actors_1m where post_id = {post} and user_id = 2")
    for _ in range(2):
        clickhouse.command(backfill)
        assert read(clickhouse, "post_actors_1m", what, where) == counted
