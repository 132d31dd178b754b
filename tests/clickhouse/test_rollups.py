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

NEVER = datetime(1970, 1, 1, tzinfo=UTC)
NO_DAY = NEVER.date()

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


def facts(clickhouse: Client, viewers: str) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """What viewers saw and how they reacted: by viewer, list, id and day."""
    return {
        (viewer, kind, thing, day): (at.replace(tzinfo=UTC), likes, comments)
        for viewer, kind, thing, day, at, likes, comments in read(
            clickhouse,
            "viewer_facts",
            "viewer_id, list, id, day, max(seen_at), sum(likes), sum(comments)",
            f"viewer_id {viewers} and list in ('seen_video', 'reacted_creator') "
            "group by viewer_id, list, id, day",
        )
    }


def standing(clickhouse: Client, viewers: str) -> set[tuple[Any, ...]]:
    """Whom viewers follow, block and do not want: relations that stand."""
    return set(
        read(
            clickhouse,
            "viewer_facts",
            "viewer_id, list, id",
            f"viewer_id {viewers} group by viewer_id, list, id having max(stands) % 2 = 1",
        )
    )


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
    reacted: dict[tuple[int, int, Any], Counter[str]] = defaultdict(Counter)
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
            pair = one["user_id"], one["author_id"], one["event_time"].date()
            pairs[pair][action] += 1
            if action in {"like", "unlike", "comment", "uncomment"}:
                reacted[pair][action] += 1
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
    assert facts(clickhouse, f">= {first} and viewer_id < {first} + 1000") == {
        **{
            (user, "seen_video", video, NO_DAY): (max(times), 0, 0)
            for (user, kind, video), times in seen.items()
            if kind == "video"
        },
        **{
            (user, "reacted_creator", author, day): (
                NEVER,
                row["like"] - row["unlike"],
                row["comment"] - row["uncomment"],
            )
            for (user, author, day), row in reacted.items()
        },
    }


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
    assert facts(clickhouse, f"= {item}") == {
        (item, "seen_video", item, NO_DAY): (HOUR, 0, 0),
        (item, "reacted_creator", 9, HOUR.date()): (NEVER, 2, 0),
    }


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
    assert facts(clickhouse, f"= {item}") == {
        (item, "seen_video", item, NO_DAY): (HOUR + timedelta(minutes=50), 0, 0)
    }


def test_reactions_of_a_viewer_are_netted_by_day_whichever_lands_first(clickhouse: Client) -> None:
    viewer = next(FRESH_IDS)
    day_before = HOUR - timedelta(days=1)
    reactions = [
        ("unlike", HOUR, 9),
        ("unlike", HOUR, 9),  # another event, of which the lists say the same
        ("like", HOUR, 9),
        ("like", day_before, 9),
        ("comment", HOUR, 9),
        ("like", HOUR, 0),  # nobody knows whose
    ]
    for number, (action, at, author) in enumerate(reactions):
        one = event(action, user_id=viewer, event_time=at, author_id=author, idempotent_key=number)
        send(clickhouse, [one])
    assert facts(clickhouse, f"= {viewer}") == {
        (viewer, "reacted_creator", 9, HOUR.date()): (NEVER, -1, 1),
        (viewer, "reacted_creator", 9, day_before.date()): (NEVER, 1, 0),
    }


def relate(clickhouse: Client, table: str, *rows: tuple[int, int, bool, int]) -> None:
    """Store versions of relations: from, to, whether it ended, version."""
    ends = {
        "follows": ["follower_id", "followee_id"],
        "blocks": ["blocker_id", "blocked_id"],
        "not_interested": ["user_id", "video_id"],
    }[table]
    clickhouse.insert(
        f"raw.{table}",
        rows,
        column_names=[*ends, "deleted", "_version"],
        settings={"async_insert": 0},
    )


def test_a_relation_stands_as_its_newest_version_says(clickhouse: Client) -> None:
    viewer = next(FRESH_IDS)
    relate(clickhouse, "follows", (viewer, 7, False, 1), (viewer, 8, False, 2))
    relate(clickhouse, "follows", (viewer, 7, True, 3))
    relate(clickhouse, "follows", (viewer, 8, True, 4), (viewer, 8, False, 5))
    relate(clickhouse, "follows", (viewer, 9, True, 7))
    relate(clickhouse, "follows", (viewer, 9, False, 6))  # late
    relate(clickhouse, "blocks", (viewer, 7, False, 8), (viewer, viewer + 1, False, 9))
    relate(clickhouse, "not_interested", (viewer, 7, False, 10), (viewer, 8, True, 11))
    assert standing(clickhouse, f"in ({viewer}, {viewer + 1})") == {
        (viewer, "followee", 8),
        (viewer, "blocked", 7),
        (viewer, "blocked", viewer + 1),
        (viewer + 1, "blocked_by", viewer),
        (viewer, "not_interested", 7),
    }


def test_facts_of_a_viewer_expire_each_in_its_time(clickhouse: Client) -> None:
    viewer = next(FRESH_IDS)
    columns = ["viewer_id", "list", "id", "day", "seen_at", "stands", "ended_at"]
    now = datetime.now(UTC)
    before = {days: now - timedelta(days=days) for days in (29, 31, 119, 121, 364, 366)}
    rows = [
        [viewer, kind, days, day or NO_DAY, seen_at or NEVER, stands, ended_at or NEVER]
        for kind, days, day, seen_at, stands, ended_at in [
            ("seen_video", 29, None, before[29], 0, None),
            ("seen_video", 31, None, before[31], 0, None),
            ("reacted_creator", 119, before[119].date(), None, 0, None),
            ("reacted_creator", 121, before[121].date(), None, 0, None),
            ("blocked", 364, None, None, 2, before[364]),
            ("blocked", 366, None, None, 2, before[366]),
            ("followee", 366, None, None, 3, before[366]),
            ("followee", 1, None, None, 1, None),
        ]
    ]
    clickhouse.insert("raw.viewer_facts", rows, column_names=columns)
    # By itself a merge begins only where the part says when its first row expires.
    told = "select min(delete_ttl_info_min) > '2000-01-01' from system.parts where active and rows"
    assert clickhouse.query(f"{told} and table = 'viewer_facts'").result_rows == [(1,)]

    clickhouse.command("optimize table raw.viewer_facts final")
    assert read(
        clickhouse, "viewer_facts", "list, id", f"viewer_id = {viewer} order by list, id"
    ) == [
        ("blocked", 364),
        ("followee", 1),
        ("followee", 366),
        ("reacted_creator", 119),
        ("seen_video", 29),
    ]


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


def test_facts_of_before_the_lists_are_known_when_they_are_made(clickhouse: Client) -> None:
    """Migration 0021 adds what the lists lack; what they have, and a second run, change nothing."""
    viewer = next(FRESH_IDS)
    mine = f"in ({viewer}, {viewer + 1})"
    relate(clickhouse, "follows", (viewer, 7, False, 1), (viewer, 8, False, 2))
    relate(clickhouse, "follows", (viewer, 8, True, 3))
    relate(clickhouse, "blocks", (viewer, viewer + 1, False, 4))
    relate(clickhouse, "not_interested", (viewer, 7, False, 5))
    send(
        clickhouse,
        [
            event("view", user_id=viewer, item_id=1),
            event("view", user_id=viewer, item_id=1, event_time=HOUR + timedelta(minutes=9)),
            event("view", user_id=viewer, item_type="post"),
            event("like", user_id=viewer),
            event("comment", user_id=viewer, item_type="post"),
            event("unlike", user_id=viewer + 1),
        ],
    )
    known = facts(clickhouse, mine), standing(clickhouse, mine)
    assert (len(known[0]), len(known[1])) == (3, 4)

    backfills = [
        statement
        for statement in statements((MIGRATIONS / "0021_create_viewer_facts.sql").read_text())
        if "insert into" in statement
    ]
    clickhouse.command(f"delete from raw.viewer_facts where viewer_id = {viewer}")
    for _ in range(2):
        for backfill in backfills:
            clickhouse.command(backfill)
        assert (facts(clickhouse, mine), standing(clickhouse, mine)) == known
