"""Generated readers of imported posts: the same from the same seed, and fit to have a feed."""

from __future__ import annotations

import psycopg
import pytest

from api.importing.errors import ImportRefusedError
from api.importing.hackernews import import_hackernews
from api.importing.readers import FIRST_READER, generate_readers
from tests.stories import write_stories

READERS = 100
LAST = FIRST_READER + READERS - 1

DIGEST = """
select md5(string_agg(line, e'\\n' order by line)) from (
    select concat_ws('|', 'u', id, username, created_at) from app.users
    where id between 4000000001 and %(last)s
    union all
    select concat_ws('|', 'f', follower_id, followee_id, created_at) from app.follows
    where follower_id <= %(last)s
    union all
    select concat_ws('|', 'b', blocker_id, blocked_id, created_at) from app.blocks
    where blocker_id <= %(last)s
    union all
    select concat_ws('|', 'e', user_id, item_id, action, event_time, dwell_ms) from app.events
    where user_id <= %(last)s
) as lines (line)
"""

COUNTERS = "select * from app.post_engagement order by post_id"


@pytest.fixture
def stories(import_settings, tmp_path):
    return import_hackernews(
        import_settings, write_stories(tmp_path / "stories.csv"), shift_to_now=True
    )


@pytest.fixture
def readers(import_settings, stories):
    return generate_readers(import_settings, READERS)


def digest(rows) -> str:
    return rows(DIGEST.replace("%(last)s", str(LAST)))[0][0]


def test_the_seed_decides(import_settings, stories):
    def made(seed: int) -> object:
        """Make readers in a transaction, tell them by a hash, and take them back."""
        with psycopg.connect(import_settings.postgres_url) as connection:
            connection.execute(
                "select app.generate_readers(%s::bigint, %s, 30, date_trunc('day', now()))",
                [seed, READERS],
            )
            found = connection.execute(DIGEST, {"last": LAST}).fetchone()
            connection.rollback()
        return found

    first = made(1)
    assert made(1) == first
    assert made(2) != first


def test_readers_are_believable(readers, rows):
    """One test for all that a reader of this world relies on: making it takes seconds."""
    assert rows(f"select count(*) from app.users where id between {FIRST_READER} and {LAST}") == [
        (READERS,)
    ]
    actions = dict(rows("select action, count(*) from app.events group by 1"))
    assert actions["impression"] > actions["view"] > 3 * actions["like"] > 0
    assert actions["like"] > actions["comment"] > actions["share"] > 0
    assert readers.of("views").inserted == actions["view"] > 20 * READERS

    # A long tail: a tenth of those who wrote has three times its share of followers.
    sizes = [n for (n,) in rows("select count(*) from app.follows group by followee_id order by 1")]
    ((authors,),) = rows(
        "select count(distinct author_id) from app.posts"
        " where created_at > now() - interval '30 days'"
    )
    assert len(sizes) < authors
    assert sum(sizes[-authors // 10 :]) > 0.3 * sum(sizes)

    # Nearly everybody could be shown something recent by whom they follow, and most have seen a
    # part of it: feeds over this world can break the rule that nothing comes back.
    ((offered, has_seen),) = rows(
        "with offers as (select follower_id, bool_or(exists (select 1 from app.events"
        " where user_id = follower_id and item_id = posts.id and action = 'view')) as has_seen"
        " from app.follows inner join app.posts on followee_id = author_id"
        " where posts.created_at > now() - interval '72 hours' group by 1)"
        " select count(*), count(*) filter (where has_seen) from offers"
    )
    assert offered > 0.8 * READERS
    assert has_seen > 0.3 * READERS
    assert rows("select count(*) > 0.03 * %s from app.blocks", READERS) == [(True,)]


def test_readers_do_nothing_impossible(readers, rows):
    assert rows(
        "select count(*) from app.events inner join app.posts on item_id = posts.id"
        " where item_type <> 'post' or event_time < created_at or event_time > now()"
        " or event_time < now() - interval '30 days'"
    ) == [(0,)]
    assert rows(
        "select count(*) from app.blocks inner join app.posts on blocked_id = author_id"
        " inner join app.events on item_id = posts.id and user_id = blocker_id"
    ) == [(0,)]
    assert rows(
        "select count(*) from app.blocks inner join app.follows"
        " on blocker_id = follower_id and blocked_id = followee_id"
    ) == [(0,)]
    # Nobody opens what they were not shown.
    assert rows(
        "select count(*) from app.events as acts where action <> 'impression' and not exists ("
        " select 1 from app.events where action = 'impression'"
        " and user_id = acts.user_id and item_id = acts.item_id)"
    ) == [(0,)]


def test_counters_move_by_what_readers_did(import_settings, stories, rows):
    before = {post: counts for post, *counts in rows(COUNTED)}
    generate_readers(import_settings, READERS)
    moved = {
        post: counts
        for post, *counts in rows(
            "select item_id, count(*) filter (where action = 'impression'),"
            " count(*) filter (where action = 'view'), count(*) filter (where action = 'like'),"
            " count(*) filter (where action = 'share'),"
            " count(*) filter (where action = 'comment'), sum(dwell_ms) from app.events group by 1"
        )
    }
    assert len(moved) > 500
    for post, *counts in rows(COUNTED):
        expected = zip(before[post], moved.get(post, [0] * len(counts)), strict=True)
        assert counts == [was + more for was, more in expected]


COUNTED = (
    "select post_id, exposures, views, likes, shares, comments, dwell_ms from app.post_engagement"
)


def test_generated_twice_is_generated_once(import_settings, readers, rows):
    was, totals = digest(rows), rows(COUNTERS)
    again = generate_readers(import_settings, READERS)

    assert again.inserted == 0
    assert [count.read for count in again.counts] == [count.read for count in readers.counts]
    assert (digest(rows), rows(COUNTERS)) == (was, totals)
    with pytest.raises(ImportRefusedError, match="other readers live here"):
        generate_readers(import_settings, READERS, seed=7)
    assert (digest(rows), rows(COUNTERS)) == (was, totals)


def test_more_readers_join_those_that_are_there(import_settings, readers, rows):
    was = digest(rows)
    more = generate_readers(import_settings, READERS + 50)

    assert more.of("readers").inserted == 50
    assert digest(rows) == was


def test_without_recent_posts_there_is_nothing_to_read(import_settings, tmp_path, rows):
    for is_imported in (False, True):
        if is_imported:
            import_hackernews(import_settings, write_stories(tmp_path / "stories.csv"))
        with pytest.raises(ImportRefusedError, match="Import Hacker News first, with --shift"):
            generate_readers(import_settings, READERS)
    assert rows("select count(*) from app.import_clocks where source = 'readers'") == [(0,)]
