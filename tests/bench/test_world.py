"""A world that benchmarks run in: both databases say the same, and it has what it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime

import clickhouse_connect
import psycopg
import pytest
from clickhouse_connect.driver import Client

from api.importing.errors import ImportRefusedError
from api.importing.sample import generate_sample
from api.settings import Settings
from api.workers.landing import land_until_settled
from bench.world import NoWorldError, World, world_of
from bench.worldmaking import Making, WorldReport, make_world
from tests.conftest import settings_on

SEED = 7


@pytest.fixture(scope="module")
def settings(
    clone_database: Callable[[], AbstractContextManager[str]],
    own_clickhouse_url: str,
    build_ranking_models: Callable[[str], None],
) -> Iterator[Settings]:
    """A system of this module's own, with nothing in it."""
    build_ranking_models(own_clickhouse_url)
    with clone_database() as postgres_url:
        yield settings_on(postgres_url=postgres_url, clickhouse_url=own_clickhouse_url)


@pytest.fixture(scope="module")
def report(settings: Settings) -> WorldReport:
    with pytest.raises(NoWorldError):
        world_of(settings)
    return make_world(settings, "XS", SEED)


@pytest.fixture
def clickhouse(settings: Settings) -> Iterator[Client]:
    with clickhouse_connect.get_client(dsn=settings.clickhouse_url) as client:
        yield client


def test_the_world_is_what_it_is_called(report, settings, clickhouse):
    """One test for all that benchmarks rely on: making a world takes seconds."""

    def ask(query: str) -> int:
        return int(clickhouse.command(query))

    world = world_of(settings)
    size = world.counts
    assert (world.size, world.seed, world.as_of) == ("XS", SEED, report.as_of)
    assert report.postgres_rows["videos"] == size.videos
    assert report.postgres_rows["users"] == size.creators + size.viewers
    assert {held.table for held in report.clickhouse} >= {
        "follows",
        "user_author_90d",
        "user_watch_history",
        "video_ranking_signals_1h",
    }

    # Lists are as long as was said on average, some much longer; nobody is without.
    for table, viewer, wanted in (
        ("follows", "follower_id", size.follows_per_viewer),
        ("user_author_90d", "user_id", size.affinities_per_viewer),
        ("user_watch_history", "user_id", size.watches_per_viewer),
    ):
        per_viewer = f"select {viewer}, count() as n from raw.{table} group by {viewer}"
        average, longest, viewers = clickhouse.query(
            f"select avg(n), max(n), count() from ({per_viewer})"
        ).result_rows[0]
        assert 0.6 * wanted < average < 1.4 * wanted, table
        assert longest > 2 * average, table
        assert viewers == size.viewers, table
    followers = "select count() as n from raw.follows group by followee_id order by n desc"
    top = ask(f"select sum(n) from ({followers} limit {size.creators // 10})")
    assert top > 0.25 * report.postgres_rows["follows"]

    # What would be a candidate has been seen: by followees of the last 72 hours, and on the chart.
    seen = "select user_id, item_id from raw.user_watch_history"
    fresh = (
        "select f.follower_id as viewer_id, v.video_id as video_id from raw.follows as f"
        " inner join raw.videos as v on v.creator_id = f.followee_id"
        " where v.status = 'published' and v.published_at > now() - toIntervalHour(72)"
    )
    candidates = ask(f"select count() from ({fresh})")
    overlap = ask(f"select count() from ({fresh}) where (viewer_id, video_id) in ({seen})")
    assert 0.1 * candidates < overlap < 0.6 * candidates
    charted = "select video_id from nova.trending_reels where window = '24h' and rank <= 200"
    assert ask(f"select count() from ({charted})") > 100
    assert ask(f"select count() from ({seen}) where item_id in ({charted})") > size.viewers

    # What a ranking reads of a viewer is what the rollups and follows say.
    for list_, table in (
        ("followee", "follows"),
        ("seen_video", "user_watch_history"),
        ("reacted_creator", "user_author_90d"),
        ("blocked", "blocks"),
        ("not_interested", "not_interested"),
    ):
        facts = ask(f"select count() from raw.viewer_facts final where list = '{list_}'")
        assert facts == ask(f"select count() from raw.{table} final") > 0, list_

    # Twins, which nothing but their ids tells apart: the same clock, creator and counters.
    twins = (
        "select published_at, creator_id, completion, engagement, count() as n"
        " from nova.video_signals group by all having n > 1"
    )
    assert ask(f"select count() from ({twins})") > size.videos / 40

    # Creator 0 is a creator as others are, and the ids of strangers are nobody's.
    assert ask("select count() from raw.videos where creator_id = 0 and status = 'published'") > 0
    assert ask("select count() from raw.user_author_90d where author_id = 0") > 0
    first_stranger = world.strangers(1).start
    assert ask(f"select count() from raw.users where user_id >= {first_stranger}") == 0
    assert ask("select max(user_id) from raw.user_watch_history") in world.viewer_ids

    # Hours of plays are the counters, cut: nothing is lost, and they leave room for later ones.
    same = (
        "select count() from (select video_id, sum(views) as views, sum(likes) as likes"
        " from raw.video_ranking_signals_1h group by video_id) as hours"
        " full join raw.video_engagement_current as totals on hours.video_id = totals.video_id"
        " where hours.views != totals.views or hours.likes != totals.likes"
    )
    assert ask(same) == 0
    assert ask("select sum(views) from raw.video_ranking_signals_1h") > 0
    last = ask("select toUnixTimestamp(max(hour)) from raw.video_ranking_signals_1h")
    assert 16 * 60 < report.as_of.timestamp() - (last + 3600) < 3 * 3600

    # It has landed, once: nothing is left to land, and no row came in two versions.
    assert not any(land_until_settled(settings).values())
    assert ask("select count() from raw.videos") == size.videos

    # Nothing of it leaves its window while it is used.
    assert ask("select min(watched_at) > now() - interval 29.5 day from raw.user_watch_history")
    assert ask("select min(day) > today() - 88 from raw.user_author_90d")


def test_a_world_is_made_once(report, settings, clickhouse):
    again = make_world(settings, "XS", SEED)
    assert again.was_there
    assert (again.as_of, again.postgres_rows) == (report.as_of, report.postgres_rows)
    with pytest.raises(ImportRefusedError, match="world XS of seed 7 lives here"):
        make_world(settings, "XS", SEED + 1)


def test_a_world_wants_an_empty_system(clone_database, own_clickhouse_url):
    with clone_database() as postgres_url:
        other = settings_on(postgres_url=postgres_url, clickhouse_url=own_clickhouse_url)
        generate_sample(other, users=5, creators=2, videos=10)
        with pytest.raises(ImportRefusedError, match="holds 10 videos, 7 users"):
            make_world(other, "XS", SEED)


def test_the_seed_decides(report, settings, clone_database, clickhouse):
    def made(seed: int) -> list[tuple[str, int, int]]:
        """Make what Postgres holds in a database of its own, at the instant of the first world."""
        with (
            clone_database() as postgres_url,
            psycopg.connect(postgres_url, autocommit=True) as connection,
        ):
            connection.execute("set session_replication_role = replica")
            making = Making(World("XS", seed, report.as_of), settings, connection, clickhouse)
            making.make_entities()
            return making.fingerprints_here()

    def watched() -> str:
        return str(
            clickhouse.command(
                "select sum(sipHash64(user_id, item_id, watched_at)) from"
                " (select distinct user_id, item_id, watched_at from raw.user_watch_history)"
            )
        )

    with psycopg.connect(settings.postgres_url) as connection:
        here = Making(world_of(settings), settings, connection, clickhouse)
        first, before = here.fingerprints_here(), watched()
        assert made(SEED) == first
        assert all(one != other for one, other in zip(made(SEED + 1), first, strict=True))
        # The same rows again: each is there twice now, and none is new.
        here.make_signals()
    assert watched() == before


def test_times_are_of_the_load(report):
    assert abs((datetime.now(UTC) - report.as_of).total_seconds()) < 600
