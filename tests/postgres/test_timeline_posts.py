"""The timeline of posts against a slow, obvious reference; each exclusion; bounded reading."""

from __future__ import annotations

import itertools
import json
import random
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.saturation import HEAD_PLACES, WINDOW_PLACES, crowded_places, saturated

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
    rows: dict[str, list[tuple[Any, ...]]] = {
        "posts": [],
        "follows": [],
        "blocks": [],
        "not_interested_posts": [],
    }
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
        for post in dice.sample(range(900), 60):
            rows["not_interested_posts"].append((viewer, post, NOW, dice.random() < 0.3))
        # Not in step with whom they follow: some follow many and have seen little.
        history = number // 3 % 3
        for count, days in ([0, 31], [40, 29], [700, 1])[history : history + 2]:
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
        "not_interested_posts": "user_id, post_id, created_at, deleted",
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
        self.unwanted = set(
            rows("select user_id, post_id from app.not_interested_posts where not deleted")
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
            and (viewer, post.post_id) not in self.unwanted
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


NUMBERS = {
    name: VARS[name]
    for name in (
        "feed_posts",
        "fill_below_posts",
        "post_window_days",
        "seen_window_days",
        "followee_window_hours",
        "followee_candidates_posts",
        "trending_candidates_posts",
    )
}
# Ids that exist, are deleted or yet to come, and some that are nobody's; long lists as often as
# short ones, or nothing would be both followed and trending.
some_posts = st.tuples(st.integers(0, 2**32), st.sampled_from([0, 3, 40, 300])).map(
    lambda drawn: random.Random(drawn[0]).choices([None, *range(-2, 906)], k=drawn[1])
)


@settings(SETTINGS, max_examples=150)
@given(
    viewer=st.sampled_from([*VIEWERS, 999]),
    trending=some_posts,
    shown=some_posts,
    ago=st.sampled_from([0, 0, 1, 29, 72, 700, 721]),
    limit=st.sampled_from([500, 500, 50, 7, 1, 0]),
    numbers=st.fixed_dictionaries(
        {
            "post_window_days": st.sampled_from([3, 30]),
            "followee_window_hours": st.sampled_from([72, 72, 1, 900]),
            "followee_candidates_posts": st.sampled_from([500, 500, 33, 5, 1, 0]),
            "trending_candidates_posts": st.sampled_from([200, 200, 10, 0]),
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


def test_places_the_rule_asks_for_are_kept_where_they_can_be(
    world: Connection, reference: Reference
) -> None:
    """Plenty of authors: nobody stands too close, in the first list or in those that follow."""
    assert len({post.author_id for post in reference.posts[:100]}) > 10
    shown: list[int] = []
    for _ in range(4):
        rows = timeline(world, 999, shown=shown, limit=40)
        authors = [reference.authors[post] for post in shown]
        assert len(rows) == 40
        assert crowded_places([row.author_id for row in rows], authors) == []
        shown += ids(rows)
    assert len(set(shown)) == 160


def test_a_walk_ends_when_all_there_is_was_shown(world: Connection, reference: Reference) -> None:
    """And nothing is shown twice on the way, however long it is."""
    viewer = VIEWERS[0]
    everything = {post for post, _ in reference.timeline(viewer, [], [], NOW, 10_000, NUMBERS)}
    shown: list[int] = []
    while rows := timeline(world, viewer, shown=shown, limit=60):
        shown += ids(rows)
    assert len(shown) == len(set(shown))
    assert set(shown) == everything
    assert len(shown) > 500


def test_every_post_comes_with_its_own_totals(world: Connection) -> None:
    rows = timeline(world, 999)
    assert {row.post_id % 2 for row in rows} == {0, 1}
    for row in rows:
        number = 0 if row.post_id % 2 else row.post_id
        assert row[4:] == (number % 7, number % 5, number % 3, number % 11, number * 10)


def test_numbers_are_those_of_the_ranking(shared: Connection) -> None:
    """Said in both places, because the timeline answers when the other one is away."""
    found = shared.execute(
        """
        select proname, oid::regprocedure::text, pg_get_function_arguments(oid)
        from pg_proc
        where pronamespace = 'app'::regnamespace
            and proname in ('timeline_posts', 'saturated_order')
        """
    ).fetchall()
    assert sorted(name for name, _, _ in found) == ["saturated_order", "timeline_posts"]
    numbers = {
        name: int(number)
        for _, _, arguments in found
        for name, number in re.findall(r"p_(\w+) integer DEFAULT (\S+?)(?:,|$)", arguments)
    }
    assert numbers == {name: VARS.get(name) for name in numbers}
    assert set(numbers) == {
        *NUMBERS,
        "post_saturation_window_places",
        "post_saturation_head_places",
    }
    assert (
        VARS["post_saturation_window_places"],
        VARS["post_saturation_head_places"],
    ) == (WINDOW_PLACES, HEAD_PLACES)


# ---------- one rule at a time, in the small world: posts 0 to 9 are user 2's, the viewer is 7


@pytest.fixture
def small(postgres: Connection) -> Connection:
    """User 2's posts 0 to 9, 9 the newest; viewer 7 follows them."""
    postgres.execute("insert into app.users (id) values (1), (2), (7), (8)")
    postgres.execute(
        "insert into app.posts (id, author_id, body, created_at)"
        " select n, 2, 'Hi', now() - make_interval(mins => 10 - n) from generate_series(0, 9) as n"
    )
    postgres.execute("select app.follow_user(7, 2)")
    return postgres


def now_of(connection: Connection) -> datetime:
    row = connection.execute("select now()").fetchone()
    assert row is not None
    return row[0]


def small_timeline(connection: Connection, **given: Any) -> list[int]:
    given.setdefault("as_of", now_of(connection))
    return ids(timeline(connection, given.pop("viewer", 7), **given))


NEWEST_FIRST = list(range(9, -1, -1))


def test_an_author_alone_is_served_whole_and_newest_first(small: Connection) -> None:
    assert small_timeline(small) == NEWEST_FIRST


@pytest.mark.parametrize(
    "action", ["view", "impression", "dwell", "like", "share", "profile_visit"]
)
def test_only_a_view_is_seen(small: Connection, event: Event, action: str) -> None:
    """The line that raw.user_watch_history draws: what was only on screen may come again."""
    batch = [event(action, item_type="post", item_id=5), event("view", item_id=5)]
    small.execute("insert into app.videos (id, creator_id) values (5, 1)")
    small.execute("select app.ingest_events(7, %s)", (json.dumps(batch),))
    assert (5 in small_timeline(small)) == (action != "view")
    assert 5 in small_timeline(small, viewer=8, trending=[5])


def test_not_interested_is_for_good(small: Connection, event: Event) -> None:
    small.execute("insert into app.videos (id, creator_id) values (6, 1)")
    for item_type, item_id in (("post", 5), ("video", 6)):
        batch = [event("not_interested", item_type=item_type, item_id=item_id)]
        small.execute("select app.ingest_events(7, %s)", (json.dumps(batch),))
    # However soon what was seen is forgotten.
    assert small_timeline(small, trending=[5], seen_window_days=0) == [9, 8, 7, 6, 4, 3, 2, 1, 0]
    assert 5 in small_timeline(small, viewer=8, trending=[5])
    small.execute("update app.not_interested_posts set deleted = true")
    assert small_timeline(small) == NEWEST_FIRST


@pytest.mark.parametrize(("ago_days", "is_back"), [(29.9, False), (30.1, True)])
def test_what_was_seen_may_come_back_after_a_month(
    small: Connection, ago_days: float, is_back: bool
) -> None:
    small.execute(
        """
        insert into app.events (
            idempotent_key, event_time, user_id, item_id, item_type, author_id, action
        )
        values (1, date_trunc('second', now() - %s * interval '24 hours'), 7, 5, 'post', 2, 'view')
        """,
        (ago_days,),
    )
    assert (5 in small_timeline(small)) == is_back


@pytest.mark.parametrize(("blocker", "blocked"), [(7, 2), (2, 7)])
def test_a_block_hides_whichever_way_and_ends_when_it_is_lifted(
    small: Connection, blocker: int, blocked: int
) -> None:
    small.execute("select app.block_user(%s, %s)", (blocker, blocked))
    assert small_timeline(small, trending=[3]) == []
    small.execute("select app.unblock_user(%s, %s)", (blocker, blocked))
    assert small_timeline(small) == NEWEST_FIRST


def test_ones_own_posts_are_never_offered(small: Connection) -> None:
    assert small_timeline(small, viewer=2, trending=[1, 2]) == []


def test_a_deleted_post_leaves_and_still_counts_as_shown(small: Connection) -> None:
    small.execute(
        "insert into app.posts (id, author_id, body, created_at)"
        " values (20, 1, 'Hi', now() - interval '1 hour')"
    )
    assert small_timeline(small, shown=[9]) == [20, *NEWEST_FIRST[1:]]
    small.execute("select app.delete_post(2, 9)")
    assert small_timeline(small) == [8, 20, *NEWEST_FIRST[2:]]
    assert small_timeline(small, shown=[9]) == [20, *NEWEST_FIRST[1:]]


def test_a_post_of_the_future_waits(small: Connection) -> None:
    past = now_of(small) - timedelta(minutes=5)
    assert max(small_timeline(small, as_of=past, trending=[9])) < 6


def test_an_unfollow_counts_at_once(small: Connection) -> None:
    small.execute("select app.unfollow_user(7, 2)")
    rows = timeline(small, 7, as_of=now_of(small))
    assert {row.source for row in rows} == {"fill_newest"}


def test_who_follows_very_many_is_shown_the_latest_of_them(small: Connection) -> None:
    """The first followed of 5,001 is left out, and of 20,000 no more is read than of 5,000."""
    small.execute("insert into app.users (id) select n from generate_series(10001, 30000) as n")
    follow = (
        "insert into app.follows (follower_id, followee_id, created_at)"
        " select 7, n, now() + make_interval(secs => n) from generate_series(%s::int, %s::int) as n"
    )

    def sources() -> set[str]:
        return {row.source for row in timeline(small, 7, as_of=now_of(small))}

    small.execute(follow, (10_001, 14_999))
    assert sources() == {"followee"}, "one of 5,000"
    small.execute(follow, (15_000, 15_000))
    assert sources() == {"fill_newest"}, "one of 5,001"
    small.execute("vacuum analyze")
    before = pages_read(small, 7, [])
    small.execute(follow, (15_001, 30_000))
    small.execute("vacuum analyze")
    assert pages_read(small, 7, []) < 1.2 * before


def test_sources_are_told_and_the_fill_stands_behind(small: Connection) -> None:
    small.execute("insert into app.users (id) select n from generate_series(1001, 1004) as n")
    small.execute(
        "insert into app.posts (id, author_id, body, created_at)"
        " select n, n, 'Hi', now() - make_interval(secs => n) from generate_series(1001, 1004) as n"
    )
    rows = timeline(
        small, 7, trending=[1003, 9, None, 1003, -1, 2**62], as_of=now_of(small), limit=14
    )
    assert [(row.post_id, row.source) for row in rows[:2]] == [(9, "followee"), (1003, "trending")]
    assert sorted(row.source for row in rows) == ["fill_newest"] * 3 + ["followee"] * 10 + [
        "trending"
    ]
    unfilled = timeline(small, 7, trending=[1003], as_of=now_of(small), fill_below_posts=11)
    assert {row.source for row in unfilled} == {"followee", "trending"}


@pytest.mark.parametrize("limit", [-1, 0, 3, None, 2**31 - 1])
def test_no_more_is_served_than_asked_for(small: Connection, limit: int | None) -> None:
    found = small_timeline(small, limit=limit)
    assert found == NEWEST_FIRST[: 10 if limit is None else max(0, limit)]


def test_nothing_is_an_answer_too(small: Connection) -> None:
    assert small_timeline(small, viewer=404, trending=None, shown=None) == NEWEST_FIRST
    assert small_timeline(small, trending=[None], shown=[None, None, 77]) == NEWEST_FIRST
    small.execute("update app.posts set deleted = true")
    assert small_timeline(small, trending=NEWEST_FIRST) == []


def test_a_nearest_neighbour_shown_on_the_last_page_keeps_its_author_away(
    small: Connection,
) -> None:
    """Places go on from those shown: two behind the last one, and the head is over after five."""
    small.execute("insert into app.users (id) select n from generate_series(1001, 1009) as n")
    small.execute(
        "insert into app.posts (id, author_id, body, created_at)"
        " select n, n, 'Hi', now() - interval '1 hour' from generate_series(1001, 1009) as n"
    )
    nobody = [1001, 1002, 1003, 1004]
    assert small_timeline(small, shown=[9])[:6] == [1009, 1008, 1007, 1006, 8, 1005]
    assert small_timeline(small, shown=[*nobody, 9])[:4] == [1009, 1008, 8, 1007]
    assert small_timeline(small, shown=[9, *nobody])[:2] == [8, 1009]
    assert small_timeline(small, shown=[9, *nobody[:3]])[:2] == [1009, 8]


# ---------- bounded reading


def deepen(connection: Connection, part: int) -> None:
    """Add 12,000 posts of last hours and days, most seen, and blocks of the viewer by 2,000."""
    rows = {"part": part, "base": part * 100_000}
    for statement in (
        "insert into app.users (id) select %(base)s + n from generate_series(1, 2000) as n",
        # Of two celebrities who are followed, and of many strangers.
        "insert into app.posts (id, author_id, body, created_at)"
        " select %(base)s + n,"
        " case when n %% 2 = 0 then 1 + n / 2 %% 2 else %(base)s + 1 + (n - 1) / 6 end,"
        " 'Hi', now() - (n + %(part)s / 10.0) * interval '15 seconds'"
        " from generate_series(1, 12000) as n",
        "insert into app.blocks (blocker_id, blocked_id)"
        " select %(base)s + n, 7 from generate_series(1, 2000) as n",
        "insert into app.events (idempotent_key, event_time, user_id, item_id, item_type,"
        " author_id, action)"
        " select id, date_trunc('second', now()), 7, id, 'post', author_id, 'view' from app.posts"
        " where id > %(base)s and id <= %(base)s + 12000 and id %% 15 <> 0",
    ):
        connection.execute(statement, rows)


def pages_read(connection: Connection, viewer: int, trending: Sequence[int]) -> int:
    """Return how many pages a timeline looks at; checks that no table is read through."""
    query = "select * from app.timeline_posts(%s, %s::bigint[], '{}', now(), 500)"
    connection.execute(
        query, (viewer, list(trending))
    )  # plans, whose catalogue pages are read once
    with connection.transaction():
        explained = connection.execute(
            f"explain (analyze, buffers, format json) {query}", (viewer, list(trending))
        ).fetchone()
        read_through = connection.execute(
            "select relname, seq_tup_read from pg_stat_xact_user_tables where seq_scan > 0"
        ).fetchall()
    assert read_through == []
    assert explained is not None
    plan = explained[0][0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


def test_what_is_read_does_not_grow_with_the_world(postgres: Connection) -> None:
    """Nor with what celebrities post, with what was seen, or with who blocks the viewer."""
    postgres.execute("insert into app.users (id) values (1), (2), (3), (7), (8)")
    postgres.execute("insert into app.users (id) select n from generate_series(9001, 10500) as n")
    postgres.execute(
        "insert into app.follows (follower_id, followee_id)"
        " select 7, n from generate_series(1, 3) as n"
        " union all select 8, 9000 + n from generate_series(1, 1500) as n"
    )
    asked = list(itertools.product((7, 8, 404), ([], list(range(100_001, 100_201)))))
    read = []
    for parts in ([1], [2, 3]):
        for part in parts:
            deepen(postgres, part)
        postgres.execute("vacuum analyze")
        read.append([pages_read(postgres, viewer, chart) for viewer, chart in asked])
    for viewer, chart in asked:
        assert len(timeline(postgres, viewer, chart, as_of=now_of(postgres))) > 30
    assert [after < 1.5 * before for before, after in zip(*read, strict=True)] == [True] * 6, read


def test_weeks_that_are_made_later_know_what_was_seen(postgres: Connection) -> None:
    postgres.execute("select app.ensure_event_partitions('2020-01-06Z', '2020-01-06Z')")
    without = postgres.execute(
        """
        select partitions.inhrelid::regclass::text
        from pg_inherits as partitions
        where
            partitions.inhparent = 'app.events'::regclass
            and not exists (
                select 1
                from pg_inherits as indexes
                inner join pg_index on indexes.inhrelid = pg_index.indexrelid
                where
                    indexes.inhparent = 'app.events_seen_posts_idx'::regclass
                    and pg_index.indrelid = partitions.inhrelid
                    and pg_index.indisvalid
            )
        """
    ).fetchall()
    assert without == []
