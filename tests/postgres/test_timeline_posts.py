"""The timeline of posts against a slow, obvious reference; each exclusion; bounded reading."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.saturation import saturated

Connection = psycopg.Connection[Any]
Event = Callable[..., dict[str, Any]]

ROOT = Path(__file__).parents[2]
VARS = yaml.safe_load((ROOT / "dbt_project.yml").read_text())["vars"]

NOW = datetime.now(UTC).replace(microsecond=0)
SETTINGS = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Post(NamedTuple):
    """What the reference knows of a post."""

    post_id: int
    author_id: int
    created_at: datetime


class Placed(NamedTuple):
    """A row of a timeline, without its place."""

    post_id: int
    author_id: int
    created_at: datetime
    source: str
    likes: int
    comments: int
    shares: int
    exposures: int
    dwell_ms_sum: int


def timeline(
    connection: Connection,
    viewer: int,
    trending: Sequence[int | None] | None = (),
    shown: Sequence[int | None] | None = (),
    as_of: datetime = NOW,
    limit: int | None = 500,
    **numbers: int,
) -> list[Placed]:
    """Ask for a timeline; checks that places are 1, 2, 3, …"""
    named = "".join(f", p_{name} => {value:d}" for name, value in numbers.items())
    found = connection.execute(
        f"select * from app.timeline_posts(%s, %s::bigint[], %s::bigint[], %s, %s{named})",
        (
            viewer,
            None if trending is None else list(trending),
            None if shown is None else list(shown),
            as_of,
            limit,
        ),
    ).fetchall()
    assert [row[0] for row in found] == list(range(1, len(found) + 1))
    return [Placed(*row[1:]) for row in found]


def ids(rows: Sequence[Placed]) -> list[int]:
    return [row.post_id for row in rows]


# ---------- saturation


@pytest.fixture(scope="module")
def shared(shared_postgres_url: str) -> Iterator[Connection]:
    with psycopg.connect(shared_postgres_url, autocommit=True) as connection:
        yield connection


@settings(SETTINGS, max_examples=300)
@given(
    authors=st.integers(1, 12).flatmap(lambda most: st.lists(st.integers(1, most), max_size=80)),
    shown=st.lists(st.none() | st.integers(1, 12), max_size=7),
)
@example(authors=[], shown=[])
@example(authors=[1] * 80, shown=[])
@example(authors=[1] * 40 + [2] * 40, shown=[1, 2])
@example(authors=[1, 1, 1, 2], shown=[])
def test_saturation_is_what_the_reference_does(
    shared: Connection, authors: list[int], shown: list[int | None]
) -> None:
    ranks = list(range(1, len(authors) + 1))
    expected = saturated(ranks, lambda rank: authors[rank - 1], shown)
    found = shared.execute(
        "select app.saturated_order(%s::bigint[], %s::bigint[])", (authors, shown)
    )
    assert found.fetchone() == (expected,)
    assert sorted(expected) == ranks


# ---------- a whole world

AUTHORS = range(1, 25)
VIEWERS = range(101, 141)


def make_world(connection: Connection) -> None:
    """Few authors, overlapping lists, ties, and every kind of exclusion."""
    dice = random.Random(20_260_131)
    users = [*AUTHORS, *VIEWERS]
    connection.execute("insert into app.users (id) select unnest(%s::bigint[])", (users,))
    rows: dict[str, list[tuple[Any, ...]]] = {"posts": [], "follows": [], "blocks": []}
    views = []
    for number in range(900):
        author = min(dice.choice(AUTHORS), dice.choice(AUTHORS))
        if number % 30 == 0:
            author = dice.choice(VIEWERS)
        ago = timedelta(hours=dice.choice([-1, 0, 1, 2, 30, 71, 72, 73, 300, 719]))
        rows["posts"].append((number, author, NOW - ago, dice.random() < 0.1))
    for number, viewer in enumerate(VIEWERS):
        for author in dice.sample(AUTHORS, [0, 3, 18][number % 3]):
            rows["follows"].append((viewer, author, NOW, dice.random() < 0.1))
        for author in dice.sample(AUTHORS, 2):
            rows["blocks"].append((viewer, author, NOW, dice.random() < 0.3))
        for author in dice.sample(AUTHORS, 1):
            rows["blocks"].append((author, viewer, NOW, dice.random() < 0.3))
        for count, days in ([0, 31], [40, 29], [700, 1])[number % 3 : number % 3 + 2]:
            views += [
                (viewer, "post", post, "view", NOW - timedelta(days=days))
                for post in dice.sample(range(900), count)
            ]
        # None of these is a post that was seen.
        views += [
            (viewer, "post", post, action, NOW - timedelta(hours=1))
            for post in dice.sample(range(900), 30)
            for action in ("impression", "dwell", "like")
        ]
        views.append((viewer, "video", dice.randrange(900), "view", NOW))
    columns = {
        "posts": "id, author_id, created_at, deleted, body",
        "follows": "follower_id, followee_id, created_at, deleted",
        "blocks": "blocker_id, blocked_id, created_at, deleted",
    }
    with connection.cursor() as cursor:
        for table, values in rows.items():
            body = ", 'Hi'" if table == "posts" else ""
            cursor.executemany(
                f"insert into app.{table} ({columns[table]}) values (%s, %s, %s, %s{body})",
                values,
            )
        cursor.executemany(
            """
            insert into app.events (
                idempotent_key, event_time, user_id, item_id, item_type, author_id, action
            )
            select app.event_key(e.u, e.t, e.i, e.a, e.at), e.at, e.u, e.i, e.t, 1, e.a
            from (select %s::bigint, %s, %s::bigint, %s, %s::timestamptz) as e (u, t, i, a, at)
            """,
            views,
        )
    connection.execute(
        "insert into app.post_engagement (post_id, likes, comments, shares, exposures, dwell_ms)"
        " select id, id % 7, id % 5, id % 3, id % 11, id * 10 from app.posts where id % 2 = 0"
    )


@pytest.fixture(scope="module")
def world(shared: Connection) -> Connection:
    make_world(shared)
    return shared


class Reference:
    """Everything a timeline depends on, read whole."""

    def __init__(self, connection: Connection) -> None:
        rows = lambda sql: connection.execute(sql).fetchall()  # noqa: E731
        found = [Post(*row) for row in rows("select id, author_id, created_at from app.posts")]
        deleted = {post for (post,) in rows("select id from app.posts where deleted")}
        self.authors = {post.post_id: post.author_id for post in found}
        self.posts = sorted(
            (post for post in found if post.post_id not in deleted),
            key=lambda post: (post.created_at, post.post_id),
            reverse=True,
        )
        self.follows = set(
            rows("select follower_id, followee_id from app.follows where not deleted")
        )
        self.blocks = set(rows("select blocker_id, blocked_id from app.blocks where not deleted"))
        self.seen = rows(
            "select user_id, item_id, max(event_time) from app.events"
            " where item_type = 'post' and action = 'view' group by 1, 2"
        )

    def timeline(
        self,
        viewer: int,
        trending: Sequence[int | None],
        shown: Sequence[int | None],
        as_of: datetime,
        limit: int,
        numbers: dict[str, int],
    ) -> list[tuple[int, str]]:
        """Return (post, source) in order."""
        since = as_of - timedelta(days=numbers["seen_window_days"])
        seen = {post for user, post, at in self.seen if user == viewer and at > since}
        oldest = as_of - timedelta(days=numbers["post_window_days"])
        known = [post for post in self.posts if oldest < post.created_at <= as_of]
        allowed = [
            post
            for post in known
            if post.post_id not in seen
            and post.post_id not in shown
            and post.author_id != viewer
            and not {(viewer, post.author_id), (post.author_id, viewer)} & self.blocks
        ]
        opened = as_of - timedelta(hours=numbers["followee_window_hours"])
        followees = [
            post
            for post in known
            if (viewer, post.author_id) in self.follows and post.created_at > opened
        ][: numbers["followee_candidates_posts"]]
        charted = set(trending[: numbers["trending_candidates_posts"]])
        chosen = [
            (post, "followee" if post in followees else "trending")
            for post in allowed
            if post in followees or post.post_id in charted
        ]
        if len(chosen) < numbers["fill_below_posts"]:
            there = {post for post, _ in chosen}
            fill = [(post, "fill_newest") for post in allowed if post not in there]
            chosen += fill[: max(0, limit - len(chosen))]
        before = [None if post is None else self.authors.get(post) for post in shown]
        served = saturated(chosen, lambda row: row[0].author_id, before)
        return [(post.post_id, source) for post, source in served][:limit]


@pytest.fixture(scope="module")
def reference(world: Connection) -> Reference:
    return Reference(world)


# Ids that exist, are deleted or yet to come, and some that are nobody's.
some_posts = st.lists(st.none() | st.integers(-2, 905), max_size=40)


@settings(SETTINGS, max_examples=150)
@given(
    viewer=st.sampled_from([*VIEWERS, 999]),
    trending=some_posts,
    shown=some_posts,
    ago=st.sampled_from([0, 1, 29, 72, 700, 721]),
    limit=st.sampled_from([0, 1, 7, 50, 500]),
    numbers=st.fixed_dictionaries(
        {
            "post_window_days": st.sampled_from([3, 30]),
            "followee_window_hours": st.sampled_from([1, 72, 900]),
            "followee_candidates_posts": st.sampled_from([0, 1, 5, 33, 500]),
            "trending_candidates_posts": st.sampled_from([0, 10, 200]),
            "seen_window_days": st.sampled_from([1, 30]),
            "fill_below_posts": st.sampled_from([0, 50, 500]),
        }
    ),
)
def test_a_timeline_is_what_the_reference_says(
    world: Connection,
    reference: Reference,
    viewer: int,
    trending: list[int | None],
    shown: list[int | None],
    ago: int,
    limit: int,
    numbers: dict[str, int],
) -> None:
    as_of = NOW - timedelta(hours=ago)
    rows = timeline(world, viewer, trending, shown, as_of, limit, **numbers)
    expected = reference.timeline(viewer, trending, shown, as_of, limit, numbers)
    assert [(row.post_id, row.source) for row in rows] == expected
