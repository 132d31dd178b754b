"""The generated world: the same from the same seed, and fit to be ranked."""

from __future__ import annotations

import psycopg
import pytest

from api.importing.errors import ImportRefusedError
from api.importing.sample import generate_sample, is_empty

DIGEST = """
select md5(string_agg(line, e'\\n' order by line)) from (
    select concat_ws('|', 'u', id, username, created_at) from app.users
    union all
    select concat_ws('|', 'f', follower_id, followee_id, created_at) from app.follows
    union all
    select concat_ws('|', 's', id, name, is_original) from app.sounds
    union all
    select concat_ws('|', 'v', id, creator_id, sound_id, title, hashtags, duration_ms, published_at)
    from app.videos
    union all
    select concat_ws('|', 'e', user_id, item_id, action, event_time, watch_ms, completion)
    from app.events
    union all
    select concat_ws('|', 'c', id, user_id, item_id, body, created_at) from app.comments
) as lines (line)
"""


def digest(url: str, seed: int) -> str:
    """Generate a smaller world in a transaction, tell it by a hash, and take it back."""
    with psycopg.connect(url) as connection:
        connection.execute(
            "select app.generate_sample_world(%s::bigint, 40, 12, 150, 20, %s::timestamptz)",
            (seed, "2026-03-01 00:00:00+00"),
        )
        found = connection.execute(DIGEST).fetchone()
        assert found is not None
        connection.rollback()
    return found[0]


def test_the_seed_decides(import_settings):
    first = digest(import_settings.postgres_url, 1)
    assert digest(import_settings.postgres_url, 1) == first
    assert digest(import_settings.postgres_url, 2) != first


@pytest.fixture
def sample(import_settings):
    assert is_empty(import_settings)
    report = generate_sample(import_settings)
    assert not is_empty(import_settings)
    return report


def test_the_small_world_is_believable(import_settings, sample, rows):
    """One test for all that a reader of the sample relies on: making it takes seconds."""
    ((viewers, creators, videos, events),) = rows(
        "select (select count(*) from app.users where id between 1 and 300),"
        " (select count(distinct creator_id) from app.videos),"
        " (select count(*) from app.videos), (select count(*) from app.events)"
    )
    assert (viewers, creators, videos) == (300, 60, 2_000)
    assert 45_000 < events < 80_000

    # Every window has something in it, and nothing is from the future.
    windows = rows(
        "select count(*) filter (where event_time > now() - interval '1 hour'),"
        " count(*) filter (where event_time > now() - interval '24 hours'),"
        " count(*) filter (where event_time > now() - interval '7 days'),"
        " count(*) filter (where event_time > now()) from app.events"
    )[0]
    assert windows[0] > 300 and windows[1] > 3_000 and windows[2] > 15_000 and windows[3] == 0
    ((last_hour, last_day, last_three_days),) = rows(
        "select count(*) filter (where published_at > now() - interval '1 hour'),"
        " count(*) filter (where published_at > now() - interval '24 hours'),"
        " count(*) filter (where published_at > now() - interval '72 hours') from app.videos"
    )
    assert last_hour >= 5 and last_day >= 100 and last_three_days >= 300

    # A long tail: a tenth of the creators has four times its share of videos, twice of followers.
    for least_share, query in (
        (0.4, "select count(*) from app.videos group by creator_id"),
        (0.18, "select count(*) from app.follows group by followee_id"),
    ):
        sizes = sorted((size for (size,) in rows(query)), reverse=True)
        assert sum(sizes[:6]) > least_share * sum(sizes)

    # Taste shows: the topic a viewer watches most is watched longer than the rest.
    ((loved, other),) = rows(
        "with views as (select events.user_id, videos.category, count(*) as views,"
        " avg(events.completion) as completion from app.events"
        " inner join app.videos on events.item_id = videos.id"
        " where events.action = 'view' group by 1, 2),"
        " placed as (select *, row_number() over ("
        " partition by user_id order by views desc) as place from views)"
        " select avg(completion) filter (where place = 1),"
        " avg(completion) filter (where place > 3) from placed"
    )
    assert loved > other + 0.15

    # Rates as in life: most views are no like, most likes no share.
    actions = dict(rows("select action, count(*) from app.events group by 1"))
    assert actions["impression"] > actions["view"] > 8 * actions["like"] > 0
    assert actions["like"] > actions["comment"] > 0
    assert actions["like"] > actions["share"] > 0
    assert actions["not_interested"] > 0
    assert rows("select count(*) from app.comments") == [(actions["comment"],)]

    # Nobody acts on what is not published, or before it is.
    assert (
        rows(
            "select 1 from app.events inner join app.videos on events.item_id = videos.id"
            " where videos.status <> 'published' or events.event_time < videos.published_at"
        )
        == []
    )
    assert rows("select 1 from app.videos where title !~ '\\S' or cardinality(hashtags) <> 3") == []
    ((top, all_uses),) = rows(
        "select max(uses), sum(uses)::bigint from (select count(*) as uses from app.videos"
        " where sound_id is not null group by sound_id) as sounds"
    )
    assert top > 0.1 * all_uses


def test_viewer_42_has_a_feed(import_settings, sample, rows):
    ((followees, liked_creators, unseen),) = rows(
        "with followed as (select followee_id from app.follows where follower_id = 42),"
        " seen as (select item_id from app.events where user_id = 42)"
        " select (select count(*) from followed),"
        " (select count(distinct author_id) from app.events"
        " where user_id = 42 and action = 'like'),"
        " (select count(*) from app.videos where status = 'published'"
        " and published_at > now() - interval '72 hours'"
        " and creator_id in (select followee_id from followed)"
        " and id not in (select item_id from seen))"
    )
    assert followees >= 4
    assert liked_creators >= 2
    assert unseen >= 40


def test_generated_twice_is_generated_once(import_settings, sample, rows):
    was = rows(DIGEST)
    totals = rows("select * from app.video_engagement order by 1")
    again = generate_sample(import_settings)

    assert again.inserted == 0
    assert [count.read for count in again.counts] == [count.read for count in sample.counts]
    assert rows(DIGEST) == was
    assert rows("select * from app.video_engagement order by 1") == totals
    with pytest.raises(ImportRefusedError, match="another sample world lives here"):
        generate_sample(import_settings, seed=7)
    assert rows(DIGEST) == was


def test_too_many_viewers_would_meet_the_creators(import_settings):
    with pytest.raises(psycopg.Error, match="not between 1 and 1000"):
        generate_sample(import_settings, users=1_001)
