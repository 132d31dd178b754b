"""
The posts feed of 1,000 viewers over a Hacker News of a month, page by page.

Whatever a page holds is checked against Postgres' tables, and its order against the slow, obvious
saturation; nothing here asks the ranking's own SQL.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import psycopg
import pytest
import redis

from api.importing.hackernews import import_hackernews
from api.importing.readers import FIRST_READER, generate_readers
from api.settings import Settings
from api.stack.ranking import refresh_ranking
from api.stack.redis import RedisServer
from api.workers.landing import land_until_settled
from tests.api.conftest import Api, Token, serving
from tests.conftest import settings_on
from tests.posts_rules import Item, PageRead, Rules, out_of_order, page_read
from tests.saturation import crowded_places
from tests.stories import write_stories

VIEWERS = 1_000
AUTHORS_WHO_READ = 50
RANKED_POSTS = 50
AT_ONCE = 8

# What pages say of themselves: algo, fallback, degraded.
RANKED = ("ch", False, "none")
TIMELINE = ("timeline", False, "none")


class World(NamedTuple):
    """Imported, landed and ranked; `viewers` are readers, and authors of recent posts."""

    settings: Settings
    viewers: list[int]


@pytest.fixture(scope="module")
def world(
    own_clickhouse_url: str,
    clone_database: Callable[[], AbstractContextManager[str]],
    redis_server: RedisServer,
    build_ranking_models: Callable[[str], None],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[World]:
    build_ranking_models(own_clickhouse_url)
    with clone_database() as postgres_url, redis.Redis.from_url(redis_server.url) as cache:
        settings = settings_on(
            postgres_url=postgres_url,
            redis_url=redis_server.url,
            clickhouse_url=own_clickhouse_url,
            rate_limit_per_minute=100_000,
            log_level="warning",
            # A busy machine must not fail what is tested here.
            clickhouse_timeout_ms=60_000,
            clickhouse_wait_ms=30_000,
            postgres_timeout_ms=30_000,
            redis_timeout_ms=5_000,
            counters_timeout_ms=10_000,
        )
        stories = write_stories(tmp_path_factory.mktemp("stories") / "stories.csv")
        import_hackernews(settings, stories, shift_to_now=True)
        readers = VIEWERS - AUTHORS_WHO_READ
        generate_readers(settings, readers)
        with psycopg.connect(postgres_url, autocommit=True) as postgres:
            authors = recent_authors(postgres)
            quarrel(postgres, authors)
        land_until_settled(settings)
        refresh_ranking(own_clickhouse_url)
        cache.flushall()
        yield World(settings, [*range(FIRST_READER, FIRST_READER + readers), *authors])


def recent_authors(postgres: psycopg.Connection[Any]) -> list[int]:
    """Authors whose own posts would be in every feed if nobody took them out of theirs."""
    return [
        author
        for (author,) in postgres.execute(
            "select author_id from app.posts inner join app.post_engagement on id = post_id"
            " where created_at > now() - interval '24 hours'"
            " group by author_id order by max(likes) desc, author_id limit %s",
            [AUTHORS_WHO_READ],
        )
    ]


def quarrel(postgres: psycopg.Connection[Any], authors: list[int]) -> None:
    """Have some of these authors block one reader in ten."""
    postgres.execute(
        "select count(blocked) from unnest(%s::bigint[]) as author,"
        " generate_series(%s::bigint, %s, 10) as reader, app.block_user(author, reader)",
        [authors[::5], FIRST_READER, FIRST_READER + VIEWERS - AUTHORS_WHO_READ - 1],
    )


@pytest.fixture
async def feeds(world: World) -> AsyncIterator[Api]:
    async with serving(world.settings) as api:
        yield api


async def read(
    api: Api, headers: dict[str, str], said: tuple[str, bool, str], *, pages: int, **asked: Any
) -> list[PageRead]:
    """Read pages by their cursors; each says `algo`, `fallback`, `degraded` as it should."""
    found: list[PageRead] = []
    for _ in range(pages):
        response = await api.get("/api/v1/feed", headers=headers, params=asked)
        assert response.status_code == 200, response.text
        body = response.json()
        meta = body["meta"]
        assert (meta["algo"], meta["fallback"], meta["degraded"]) == said
        as_of = datetime.fromisoformat(meta["as_of"])
        found.append(page_read(body["data"], as_of, meta["total_count"]))
        asked = {"limit": asked["limit"], "cursor": body["next_cursor"]}
        assert body["has_more"]
    return found


def items_of(pages: list[PageRead]) -> list[Item]:
    return [item for page in pages for item in page.items]


def assert_by_the_rules(rules: Rules, viewer: int, pages: list[PageRead]) -> None:
    """The first page and what follows: nothing that must not be there, and in order."""
    items = items_of(pages)
    assert list(rules.broken(viewer, items)) == []
    assert out_of_order(pages) == []
    # Here are authors enough, so at the top the rule is kept to the letter.
    assert crowded_places([item.author_id for item in items[:RANKED_POSTS]]) == []


@pytest.mark.timeout(900)
async def test_a_thousand_viewers_have_fifty_ranked_posts_by_the_rules(
    world: World, feeds: Api, bearer: Token
) -> None:
    turns = asyncio.Semaphore(AT_ONCE)

    async def first_fifty(viewer: int) -> list[PageRead]:
        async with turns:
            headers = bearer(viewer, ttl_seconds=3_600)
            return await read(feeds, headers, RANKED, pages=2, limit=RANKED_POSTS // 2)

    found = await asyncio.gather(*map(first_fifty, world.viewers))
    rules = Rules(world.settings.postgres_url, world.viewers)
    sources: Counter[str] = Counter()
    for viewer, pages in zip(world.viewers, found, strict=True):
        assert len(items_of(pages)) == RANKED_POSTS <= pages[0].total
        assert_by_the_rules(rules, viewer, pages)
        sources.update(item.source for item in items_of(pages))

    assert len({tuple(item.post_id for item in items_of(pages)) for pages in found}) > 0.9 * VIEWERS
    assert min(sources[source] for source in ("followee", "trending", "affinity")) > 0


async def test_this_world_could_break_every_rule(world: World) -> None:
    """Without the exclusions, most of these feeds would show what they must not."""
    rules = Rules(world.settings.postgres_url, world.viewers)
    now = datetime.now(UTC)
    recent = {
        post: author
        for post, (author, created_at) in rules.posts.items()
        if created_at > now - timedelta(hours=72)
    }
    assert (
        sum((viewer, post) in rules.seen for viewer in world.viewers for post in recent)
        > 5 * VIEWERS
    )
    assert len(set(world.viewers) & set(recent.values())) == AUTHORS_WHO_READ
    blocked = [pair for pair in rules.blocks if set(pair) & set(recent.values())]
    assert {pair[0] in world.viewers[:-AUTHORS_WHO_READ] for pair in blocked} == {True, False}
    by_author = Counter(recent.values())
    assert sum(count > 1 for count in by_author.values()) > 20


async def test_the_check_finds_what_is_wrong(world: World, feeds: Api, bearer: Token) -> None:
    """Each rule is broken on purpose once, in a feed that obeys them all."""
    viewer = FIRST_READER
    rules = Rules(world.settings.postgres_url, world.viewers)
    pages = await read(feeds, bearer(viewer), RANKED, pages=1, limit=RANKED_POSTS)
    assert_by_the_rules(rules, viewer, pages)
    (page,) = pages
    items = page.items
    now = datetime.now(UTC)

    assert "comes 2 times" in first_of(rules.broken(viewer, [*items, items[0]]))
    assert "their own" in first_of(rules.broken(items[9].author_id, items[9:10]))
    for pair in ((viewer, items[3].author_id), (items[3].author_id, viewer)):
        rules.blocks.add(pair)
        assert "in a block with them" in first_of(rules.broken(viewer, items[3:4]))
        rules.blocks.discard(pair)
    rules.seen[viewer, items[5].post_id] = now - timedelta(days=29)
    assert "was seen" in first_of(rules.broken(viewer, items[5:6]))
    rules.seen[viewer, items[5].post_id] = now - timedelta(days=31)
    assert first_of(rules.broken(viewer, items[5:6])) == ""
    other = items[7]._replace(counters=(1, 2, 3, 4, 5))
    assert "has counters" in first_of(rules.broken(viewer, [other]))

    swapped = [items[1], items[0], *items[2:]]
    assert out_of_order([page._replace(items=swapped)]) != []
    near = [items[0]._replace(author_id=items[2].author_id), *items[1:]]
    assert out_of_order([page._replace(items=near)]) != []
    assert crowded_places([item.author_id for item in near]) == [3]


def first_of(problems: Iterator[str]) -> str:
    return next(problems, "")


async def test_walks_go_on_beyond_a_ranking_by_the_same_rules(
    world: World, feeds: Api, bearer: Token
) -> None:
    viewers = world.viewers[:: VIEWERS // 10]
    rules = Rules(world.settings.postgres_url, viewers)
    for viewer in viewers:
        pages = await read(feeds, bearer(viewer), RANKED, pages=12, limit=RANKED_POSTS)
        assert len({page.as_of for page in pages}) > 1
        assert_by_the_rules(rules, viewer, pages)


async def test_the_timeline_obeys_the_same_rules(world: World, feeds: Api, bearer: Token) -> None:
    viewers = world.viewers[::5]
    rules = Rules(world.settings.postgres_url, viewers)
    for viewer in viewers:
        pages = await read(
            feeds, bearer(viewer), TIMELINE, pages=4, limit=RANKED_POSTS // 2, algo="timeline"
        )
        assert all(item.score is None for item in items_of(pages))
        assert_by_the_rules(rules, viewer, pages)
