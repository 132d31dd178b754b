"""The posts ranking against a slow, obvious reference, on a world where every rule bites."""

from __future__ import annotations

import csv
import math
import random
import subprocess
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import clickhouse_connect
import pytest
import yaml
from clickhouse_connect.driver import Client
from hypothesis import given, settings
from hypothesis import strategies as st

from api.stack.dbt import dbt
from api.stack.ranking import refresh_ranking
from tests.saturation import HEAD_PLACES, WINDOW_PLACES, crowded_places, may_stand, saturated

ROOT = Path(__file__).parent.parent.parent
VARS: Mapping[str, Any] = yaml.safe_load((ROOT / "dbt_project.yml").read_text())["vars"]
SOURCES = ["followee", "trending", "affinity", "fill_trending", "fill_newest"]

FIRST_ID = 7_200_000_000_000_000_000  # this file's ids; past 2^53, as real ones are
VIEWERS = [FIRST_ID + number for number in range(60)]
AUTHORS = [0, *(FIRST_ID + 1000 + number for number in range(60))]
STRANGERS = [0, FIRST_ID + 999_999, 2**64 - 1]


@dataclass(frozen=True)
class Post:
    """What the reference knows of a post."""

    post_id: int
    author_id: int
    created_at: datetime
    counters: tuple[int, int, int, int, int]  # likes, comments, shares, exposures, dwell_ms

    @property
    def engagement(self) -> float:
        likes, comments, shares, exposures, _ = self.counters
        points = VARS["post_engagement_points_per_like"] * likes
        points += VARS["post_engagement_points_per_comment"] * comments
        points += VARS["post_engagement_points_per_share"] * shares
        return math.log1p(points / max(1, exposures))


@dataclass
class World:
    """Everything a feed depends on, read back from the landing tables."""

    posts: dict[int, Post] = field(default_factory=dict)
    author_of: dict[int, int] = field(default_factory=dict)
    charts: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    followees: dict[int, set[int]] = field(default_factory=lambda: defaultdict(set))
    excluded_authors: dict[int, set[int]] = field(default_factory=lambda: defaultdict(set))
    seen: dict[int, set[int]] = field(default_factory=lambda: defaultdict(set))
    unwanted: dict[int, set[int]] = field(default_factory=lambda: defaultdict(set))
    actions: dict[int, dict[int, int]] = field(default_factory=lambda: defaultdict(dict))


def weights(variant: str) -> Mapping[str, float]:
    """Return a variant's weights by signal; one that nobody knows is the default."""
    with (ROOT / "models/seeds/post_variants.csv").open() as file:
        rows = {row.pop("variant"): row for row in csv.DictReader(file)}
    row = rows.get(variant, rows["default"])
    return {name.removeprefix("weight_"): float(value) for name, value in row.items()}


def newest_first(posts: Sequence[Post]) -> list[Post]:
    return sorted(posts, key=lambda post: (post.created_at, post.post_id), reverse=True)


def candidates(world: World, viewer: int, as_of: datetime, shown: Sequence[int]) -> dict[int, int]:
    """Return the source of each post the viewer may be shown, 1 the strongest."""
    public = [post for post in newest_first(list(world.posts.values())) if post.created_at <= as_of]
    may = {
        post.post_id
        for post in public
        if post.post_id not in world.seen[viewer]
        and post.post_id not in world.unwanted[viewer]
        and post.post_id not in shown
        and post.author_id not in world.excluded_authors[viewer]
        and post.author_id != viewer
    }

    since = as_of - timedelta(hours=VARS["followee_window_hours"])
    followees = [
        post.post_id
        for post in public
        if post.author_id in world.followees[viewer] and post.created_at > since
    ]

    actions = world.actions[viewer]
    favourites = sorted(actions, key=lambda author: (actions[author], author), reverse=True)
    favourites = favourites[: VARS["affinity_candidates_authors"]]
    recency: Counter[int] = Counter()
    theirs: list[tuple[int, int]] = []
    # A post from the future has a place in its author's list too: it is the newest.
    for order, post in enumerate(newest_first(list(world.posts.values()))):
        recency[post.author_id] += 1
        if (
            post.author_id in favourites
            and recency[post.author_id] <= VARS["affinity_candidates_per_author_posts"]
            and post.created_at <= as_of
        ):
            theirs.append((recency[post.author_id], order))
    everything = newest_first(list(world.posts.values()))
    affinity = [everything[order].post_id for _, order in sorted(theirs)]

    lists = {
        1: followees[: VARS["followee_candidates_posts"]],
        2: world.charts["24h"][: VARS["trending_candidates_posts"]],
        3: affinity[: VARS["affinity_candidates_posts"]],
        4: world.charts["7d"],
        5: [post.post_id for post in public if post.post_id in may][: VARS["feed_posts"]],
    }
    found: dict[int, int] = {}
    for source, ids in lists.items():
        for post_id in ids:
            if post_id in may:
                found.setdefault(post_id, source)
    core = {post_id: source for post_id, source in found.items() if source <= 3}
    return found if len(core) < VARS["fill_below_posts"] else core


def score_ppm(world: World, viewer: int, post: Post, as_of: datetime, variant: str) -> int:
    """Score one post as docs/ranking.md says."""
    hours = (as_of - post.created_at) / timedelta(hours=1)
    by_signal = weights(variant)
    return round(
        1_000_000
        * (
            by_signal["freshness"] * math.exp(-VARS["post_freshness_decay_per_hour"] * hours)
            + by_signal["engagement"] * post.engagement
            + by_signal["affinity"] * math.log1p(world.actions[viewer].get(post.author_id, 0))
        )
    )


Row = tuple[int, int, int, str, datetime, int, int, int, int, int]


def expected_feed(
    world: World, viewer: int, as_of: datetime, variant: str, shown: Sequence[int] = ()
) -> list[Row]:
    """Return a viewer's list as the view has it, in order."""
    sources = candidates(world, viewer, as_of, shown)
    scores = {
        post_id: score_ppm(world, viewer, world.posts[post_id], as_of, variant)
        for post_id in sources
    }
    ranked = sorted(sources, key=lambda one: (scores[one], one), reverse=True)
    return [
        (
            post_id,
            world.posts[post_id].author_id,
            scores[post_id],
            SOURCES[sources[post_id] - 1],
            world.posts[post_id].created_at,
            *world.posts[post_id].counters,
        )
        for post_id in saturated(
            ranked, world.author_of.__getitem__, [world.author_of.get(one) for one in shown]
        )
    ][: VARS["feed_posts"]]


def make_world(client: Client, now: datetime) -> None:
    """Insert a small world: few authors, overlapping lists, ties, and every kind of exclusion."""
    dice = random.Random(20_260_131)
    hour = now.replace(minute=0, second=0, microsecond=0)
    posts, counters, actors = [], [], []
    for number in range(700):
        post_id = FIRST_ID + 10_000 + number
        author = AUTHORS[min(dice.randrange(61), dice.randrange(61))]
        # Ties: whole hours, of which many posts share one. A few are still to come, and a few have
        # left the window that is looked at.
        created = hour - timedelta(hours=dice.choice([-2, 1, 1, 2, 5, 30, 70, 80, 300, 700, 2000]))
        posts.append([post_id, author, created, number % 29 == 7, 5])
        if number % 3:
            shape = [dice.choice([0, 0, 1, 40]) for _ in range(3)]
            counters.append([post_id, dice.choice([0, 1, 10, 1000]), 9, *shape, 700, False, 5])
        for age in {dice.choice([0, 3, 12, 20]), dice.choice([30, 100, 160])}:
            if dice.random() < 0.6:
                minute = now.replace(second=0) - timedelta(hours=age, minutes=5)
                actors += [
                    [minute, post_id, VIEWERS[0] + one, 1, one % 2, 0]
                    for one in range(dice.randrange(1, 6))
                ]
    # A version that lost: this post has another author and another time.
    posts.append([posts[1][0], AUTHORS[9], hour, False, 4])
    post_ids = [post[0] for post in posts]
    follows, blocks, watches, unwanted, reactions = [], [], [], [], []
    for number, viewer in enumerate(VIEWERS):
        follows += [[viewer, author, number % 7 == 3, 2] for author in dice.sample(AUTHORS, 9)]
        blocks += [[viewer, author, False, 1] for author in dice.sample(AUTHORS, 2)]
        blocks += [[author, viewer, False, 1] for author in dice.sample(AUTHORS, 1)]
        # From nobody's history to nearly everything there is; what is a month old may come back.
        for count, days in ([0, 31], [40, 29], [30, 31], [640, 1])[number % 3 : number % 3 + 2]:
            watches += [
                [viewer, "post", post_id, now - timedelta(days=days), 1]
                for post_id in dice.sample(post_ids, count)
            ]
        # Said for ever; some took it back.
        for post_id in dice.sample(post_ids, 60):
            unwanted.append([viewer, post_id, False, 1])
            if post_id % 4 == 3:
                unwanted.append([viewer, post_id, True, 2])
        watches.append([viewer, "video", post_ids[0], now - timedelta(days=1), 1])
        for author in dice.sample(AUTHORS, [0, 1, 12][number % 3]):
            day = (now - timedelta(days=dice.choice([1, 60, 100]))).date()
            reactions.append([viewer, author, day, dice.randrange(-4, 4), dice.randrange(2), 2, 0])
    # Viewers who post themselves: their own never come back to them.
    for number, viewer in enumerate(VIEWERS[:4]):
        post_id = FIRST_ID + 20_000 + number
        posts.append([post_id, viewer, hour - timedelta(hours=1), False, 5])
        counters.append([post_id, 1, 9, 500, 500, 500, 700, False, 5])
    # One follow taken back: the later version wins.
    follows += [[VIEWERS[0], AUTHORS[0], False, 1], [VIEWERS[0], AUTHORS[0], True, 9]]

    tables: Mapping[str, tuple[Sequence[str], Sequence[Sequence[Any]]]] = {
        "posts": (["post_id", "author_id", "created_at", "deleted", "_version"], posts),
        "post_engagement": (
            [
                *("post_id", "exposures", "views", "likes", "comments", "shares", "dwell_ms"),
                *("deleted", "_version"),
            ],
            counters,
        ),
        "post_actors_1m": (
            ["at_minute", "post_id", "user_id", "likes", "comments", "shares"],
            actors,
        ),
        "follows": (["follower_id", "followee_id", "deleted", "_version"], follows),
        "blocks": (["blocker_id", "blocked_id", "deleted", "_version"], blocks),
        "not_interested_posts": (["user_id", "post_id", "deleted", "_version"], unwanted),
        "user_watch_history": (
            ["user_id", "item_type", "item_id", "watched_at", "watches"],
            watches,
        ),
        "user_author_90d": (
            ["user_id", "author_id", "day", "likes", "comments", "views", "shares"],
            reactions,
        ),
    }
    for table, (columns, rows) in tables.items():
        client.insert(f"raw.{table}", rows, column_names=columns)


def read_world(client: Client, now: datetime) -> World:
    """Read the landing tables whole and add them up in Python; charts are tested elsewhere."""
    rows = lambda sql: client.query(sql).result_rows  # noqa: E731
    world = World()
    counters = {
        row[0]: tuple(row[1:])
        for row in rows(
            "select post_id, likes, comments, shares, exposures, dwell_ms"
            " from raw.post_engagement final where not deleted"
        )
    }
    since = now - timedelta(days=VARS["post_window_days"])
    for post_id, author_id, created_at, deleted in rows(
        "select post_id, author_id, created_at, deleted from raw.posts final"
    ):
        world.author_of[post_id] = author_id
        created = created_at.replace(tzinfo=UTC)
        if not deleted and created > since:
            world.posts[post_id] = Post(
                post_id, author_id, created, counters.get(post_id, (0, 0, 0, 0, 0))
            )
    for window, post_id in rows(
        "select window, post_id from nova.trending_posts order by window, rank"
    ):
        world.charts[window].append(post_id)
    for follower, followee in rows(
        "select follower_id, followee_id from raw.follows final where not deleted"
    ):
        world.followees[follower].add(followee)
    for blocker, blocked in rows(
        "select blocker_id, blocked_id from raw.blocks final where not deleted"
    ):
        world.excluded_authors[blocker].add(blocked)
        world.excluded_authors[blocked].add(blocker)
    for user, post_id, watched_at in rows(
        "select user_id, item_id, watched_at from raw.user_watch_history where item_type = 'post'"
    ):
        if watched_at.replace(tzinfo=UTC) > now - timedelta(days=VARS["seen_window_days"]):
            world.seen[user].add(post_id)
    for user, post_id in rows(
        "select user_id, post_id from raw.not_interested_posts final where not deleted"
    ):
        world.unwanted[user].add(post_id)
    history: dict[int, Counter[int]] = defaultdict(Counter)
    for user, author, day, likes, comments, views in rows(
        "select user_id, author_id, day, likes, comments, views from raw.user_author_90d"
    ):
        if day > now.date() - timedelta(days=VARS["affinity_window_days"]):
            history[user][author] += likes + comments + views
    for user, by_author in history.items():
        world.actions[user] = {author: count for author, count in by_author.items() if count > 0}
    return world


@pytest.fixture(scope="module")
def client(
    own_clickhouse_url: str, build_ranking_models: Callable[[str], None]
) -> Iterator[Client]:
    build_ranking_models(own_clickhouse_url)
    with clickhouse_connect.get_client(dsn=own_clickhouse_url) as client:
        yield client


@pytest.fixture(scope="module")
def now(client: Client, own_clickhouse_url: str) -> datetime:
    """Make the world and the tables precomputed from it; return the instant it is ranked for."""
    now = datetime.now(UTC).replace(microsecond=0)
    make_world(client, now)
    refresh_ranking(own_clickhouse_url)
    return now


@pytest.fixture(scope="module")
def world(client: Client, now: datetime) -> World:
    return read_world(client, now)


def served_feed(
    client: Client,
    viewer: int,
    as_of: datetime,
    variant: str = "default",
    shown: Sequence[int] | None = None,
) -> list[Row]:
    """Ask the serving view; checks that places are 1, 2, 3, …"""
    arguments = (
        "viewer_id = {viewer:UInt64}, as_of = {as_of:DateTime64(3, 'UTC')},"
        " variant = {variant:String}"
    )
    view = "feed__posts" if shown is None else "feed__posts_after"
    if shown is not None:
        arguments += ", shown = {shown:Array(UInt64)}"
    found = client.query(
        "select position, post_id, author_id, score_ppm, source, created_at, likes, comments,"
        f" shares, exposures, dwell_ms_sum from nova.{view}({arguments}) order by position",
        parameters={"viewer": viewer, "as_of": as_of, "variant": variant, "shown": shown},
    ).result_rows
    assert [row[0] for row in found] == list(range(1, len(found) + 1))
    return [(*row[1:5], row[5].replace(tzinfo=UTC), *row[6:]) for row in found]


def test_every_viewer_is_served_what_the_reference_ranks(
    client: Client, world: World, now: datetime
) -> None:
    sources: set[str] = set()
    authors: set[int] = set()
    ties = moved = 0
    for viewer in [*VIEWERS, *STRANGERS]:
        served = served_feed(client, viewer, now)
        assert served == expected_feed(world, viewer, now, "default"), viewer
        ids = {row[0] for row in served}
        assert len(ids) == len(served)
        assert not ids & (world.seen[viewer] | world.unwanted[viewer])
        assert not {row[1] for row in served} & {viewer, *world.excluded_authors[viewer]}
        sources |= {row[3] for row in served}
        authors |= {row[1] for row in served}
        ties += len(served) - len({row[2] for row in served})
        moved += served != sorted(served, key=lambda row: (row[2], row[0]), reverse=True)
    enough = "a world without it checks too little"
    assert sources == set(SOURCES), enough
    assert 0 in authors, enough
    assert ties > len(VIEWERS), enough
    assert moved > len(VIEWERS) // 2, enough


def test_a_variant_nobody_defined_ranks_as_default(
    client: Client, world: World, now: datetime
) -> None:
    assert served_feed(client, VIEWERS[2], now, "gone") == served_feed(client, VIEWERS[2], now)


def test_what_viewers_saw_or_refused_stands_on_the_lists_they_are_served_from(world: World) -> None:
    """Otherwise an exclusion that is forgotten would go unnoticed."""
    chart = set(world.charts["24h"])
    for excluded in (world.seen, world.unwanted):
        lists = [excluded[viewer] for viewer in VIEWERS]
        assert sum(bool(chart & posts) for posts in lists) > len(VIEWERS) // 2


def test_a_walk_shows_the_window_once(client: Client, world: World, now: datetime) -> None:
    """Page by page, to the end: everything allowed, once, in the order the reference says."""
    viewer = VIEWERS[1]
    shown: list[int] = []
    # Pages of one and two end within the first five places, where every place shown counts.
    for places in [1, 2, 1, 3, *[70] * 20]:
        served = served_feed(client, viewer, now, shown=shown)
        assert served == expected_feed(world, viewer, now, "default", shown)
        if not served:
            break
        shown += [row[0] for row in served[:places]]
    allowed = {
        post.post_id
        for post in world.posts.values()
        if post.created_at <= now
        and post.author_id not in {viewer, *world.excluded_authors[viewer]}
        and post.post_id not in world.seen[viewer] | world.unwanted[viewer]
    }
    assert len(shown) == len(set(shown))
    assert set(shown) == allowed


def test_a_post_deleted_or_unknown_keeps_the_place_it_was_shown_at(
    client: Client, world: World, now: datetime
) -> None:
    deleted = [post_id for post_id in world.author_of if post_id not in world.posts]
    viewer = VIEWERS[3]
    first = [row[0] for row in served_feed(client, viewer, now)[:8]]
    for shown in (
        [first[0], deleted[0]],
        [first[0], deleted[0], first[1]],
        [*first[:6], deleted[1]],
        [*first[:6], deleted[1], first[7]],
        # Not known here yet, as what the timeline showed a moment ago may be.
        [first[0], FIRST_ID - 1, first[1]],
        [*first[:6], FIRST_ID - 1],
    ):
        served = served_feed(client, viewer, now, shown=shown)
        assert served == expected_feed(world, viewer, now, "default", shown)


@pytest.fixture(scope="module")
def saturation_query(
    client: Client, own_clickhouse_url: str, tmp_path_factory: pytest.TempPathFactory
) -> str:
    """The macro itself, on any ranking: the first `leading` authors were shown before."""
    ranking = """
        ranked as (
            select
                author as owner_id,
                (place, author, toUInt8(if(place <= {leading:UInt64}, 0, 1))) as item,
                toUInt64(place) as rank
            from (select {authors:Array(UInt64)} as authors) as given
            array join authors as author, arrayEnumerate(authors) as place
        ),
    """
    served = "select arrayMap(item -> item.1, served_items) from served"
    text = "{{ subqueries('with " + ranking + "' ~ saturated_posts() ~ ' " + served + "') }}"
    compiled = dbt(
        ["--quiet", "compile", "--inline", text],
        own_clickhouse_url,
        target_path=tmp_path_factory.mktemp("dbt"),
        stdout=subprocess.PIPE,
    )
    assert compiled.returncode == 0, compiled.stdout
    return compiled.stdout.decode()


def rankings() -> st.SearchStrategy[list[int]]:
    """Rankings by author: of one alone, of two in turn, of few, of many, and lopsided ones."""
    return st.integers(1, 9).flatmap(
        lambda authors: st.one_of(
            st.lists(st.integers(0, authors), max_size=40),
            st.lists(st.sampled_from([0] * authors + [1, 2, 3]), max_size=40),
            st.lists(st.integers(0, authors), max_size=40).map(sorted),
        )
    )


@pytest.mark.timeout(300)
def test_saturation_of_any_ranking_is_the_rule(client: Client, saturation_query: str) -> None:
    """
    The exact rule, also for rankings that cannot obey it, such as five posts of one author.

    Every place goes to the best post left whose author has none of the two places before it and,
    among the first five of the session, none before at all; when no post left has such an author,
    to the best post left. So nothing is dropped, and a place breaks the rule only where none of
    the posts behind it could have kept it.
    """
    crowded = 0

    @settings(max_examples=150, deadline=None, database=None, derandomize=True)
    @given(authors=rankings(), shown=st.lists(st.integers(0, 4), max_size=8))
    def check(authors: list[int], shown: list[int]) -> None:
        nonlocal crowded
        leading = shown[1 - max(WINDOW_PLACES, HEAD_PLACES) :]
        order = client.query(
            saturation_query,
            parameters={
                "authors": [*leading, *authors],
                "leading": len(leading),
                "shown": [*range(len(shown))],
            },
        ).result_rows[0][0]
        ranks = [place - len(leading) - 1 for place in order]

        assert sorted(ranks) == list(range(len(authors)))  # nothing dropped, nothing twice
        assert ranks == saturated(range(len(authors)), authors.__getitem__, shown)
        served = [authors[rank] for rank in ranks]
        for place in crowded_places(served, shown):
            before = [*shown, *served[: place - 1]]
            assert not any(may_stand(author, before) for author in served[place - 1 :])
            crowded += 1
        for author in set(authors):
            own = [rank for rank in ranks if authors[rank] == author]
            assert own == sorted(own)  # nobody passes a better post of their own

    check()
    assert crowded > 100, "rankings that can all obey the rule check too little"


def test_the_rule_has_the_numbers_of_the_project() -> None:
    assert VARS["post_saturation_window_places"] == WINDOW_PLACES
    assert VARS["post_saturation_head_places"] == HEAD_PLACES


def rows_read(client: Client, viewer: int, as_of: datetime) -> int:
    """Return how many rows ClickHouse read to rank one feed."""
    summary = client.query(
        "select * from nova.feed__posts(viewer_id = {viewer:UInt64},"
        " as_of = {as_of:DateTime64(3, 'UTC')}, variant = 'default')",
        parameters={"viewer": viewer, "as_of": as_of},
    ).summary
    return int(summary["read_rows"])


def insert_posts(client: Client, first_id: int, count: int, created_at: datetime) -> None:
    """Insert posts of the first three authors, all of one instant."""
    client.insert(
        "raw.posts",
        [[first_id + number, AUTHORS[number % 3], created_at, False, 1] for number in range(count)],
        column_names=["post_id", "author_id", "created_at", "deleted", "_version"],
    )


def test_a_feed_reads_no_more_when_its_authors_have_a_long_past(
    client: Client, now: datetime, own_clickhouse_url: str
) -> None:
    """Near the end of this file, because it adds to the world: 15,000 posts of three authors."""
    viewers = [*STRANGERS[1:], *VIEWERS[1:9]]
    before = {viewer: rows_read(client, viewer, now) for viewer in viewers}
    insert_posts(client, FIRST_ID + 50_000, 15_000, now - timedelta(hours=500))
    refresh_ranking(own_clickhouse_url)
    after = {viewer: rows_read(client, viewer, now) for viewer in viewers}
    # What fills is read in blocks that double; one author read whole would be 5,000 more.
    assert all(after[viewer] < before[viewer] + 4_000 for viewer in viewers), (before, after)


def test_a_refresh_reads_no_more_when_there_is_an_archive(
    client: Client, now: datetime, own_clickhouse_url: str
) -> None:
    """50,000 posts that no feed looks back on any more; most of their granules are skipped."""

    def refresh_rows() -> int:
        """Rows that a refresh reads; asked between two of them, for one under way counts up."""
        refresh_ranking(own_clickhouse_url)
        while True:
            status, rows = client.query(
                "select status, read_rows from system.view_refreshes where view = 'post_cards_mv'"
            ).result_rows[0]
            if status == "Scheduled":
                return int(rows)
            time.sleep(0.05)

    before = refresh_rows()
    insert_posts(client, FIRST_ID + 100_000, 50_000, now - timedelta(days=400))
    assert refresh_rows() < before + 5_000
