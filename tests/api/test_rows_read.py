"""However much there is, a statement on the request path reads no more than a stated bound."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import clickhouse_connect
import msgspec
import pytest
from clickhouse_connect.driver import Client
from clickhouse_connect.driver.query import QueryResult

from api.discovery import queries as discovery
from api.feed import queries as feed
from api.reels import queries as reels
from api.search import queries as search
from api.settings import Settings
from api.snapshots.store import now_ms
from api.stack.ranking import refresh_ranking
from api.stores import ClickHouse
from api.trending import charts as trending
from tests.api.conftest import Token, serving

# In every table that may grow, several times as many rows as a statement may read (count): one that
# reads a table whole is far beyond its bound.
ROWS = 70_000
ROWS_READ_MAX = 20_000

VIEWER = 777
CREATORS = 4_000
WORLD = (
    """
    insert into raw.videos (
        video_id, creator_id, sound_id, category, title, hashtags, status, created_at, published_at,
        _version
    )
    select
        number, number % {creators}, 1 + number % 997, toString(number % 150), 'video',
        [toString(number % 991)], 'published', now() - number, now() - number * 20, 1
    from numbers({rows})
    """,
    """
    insert into raw.sounds (sound_id, name, created_at, _version)
    select number, 'sound', now(), 1 from numbers(1000)
    """,
    """
    insert into raw.video_ranking_signals_1h
        (video_id, hour, views, completions, known_completions, likes)
    select number, toStartOfHour(now()) - number % 48 * 3600, 10 + number % 90, 5, 10, number % 7
    from numbers({rows})
    """,
    """
    insert into raw.posts (post_id, author_id, created_at, _version)
    select number, number % {creators}, now() - number * 20, 1 from numbers({rows})
    """,
    """
    insert into raw.post_metrics_1h (post_id, author_id, hour, exposures, likes)
    select number, number % {creators}, toStartOfHour(now()), 10, number % 7 from numbers({rows})
    """,
    """
    insert into raw.post_actors_1m (at_minute, post_id, user_id, likes)
    select toStartOfMinute(now()) - number % 600 * 60, number % 5000, number, 1
    from numbers({rows})
    """,
    # The viewer and as many others as make the table: 30 follows, reactions and plays each.
    """
    insert into raw.follows (follower_id, followee_id, created_at, _version)
    select {viewer} + intDiv(number, 30), number * 7 % {creators}, now() - number, 1
    from numbers({rows})
    """,
    """
    insert into raw.user_author_90d (user_id, author_id, day, likes, views)
    select {viewer} + intDiv(number, 30), number * 11 % {creators}, today() - 1, 1 + number % 3, 5
    from numbers({rows})
    """,
    """
    insert into raw.user_watch_history (user_id, item_type, item_id, watched_at, watches)
    select
        {viewer} + intDiv(number, 30), ['video', 'post'][1 + number % 2], number * 13 % {rows},
        now() - 60, 1
    from numbers({rows})
    """,
    """
    insert into raw.users (user_id, username, created_at, _version)
    select number, concat('user', toString(number)), now(), 1 from numbers({rows})
    """,
)

PAGES = (
    "/api/v1/reels",
    "/api/v1/reels?algo=trending",
    "/api/v1/reels/trending",
    "/api/v1/reels/trending-sounds",
    "/api/v1/reels/trending-sounds?category=17",
    "/api/v1/reels/trending-hashtags",
    "/api/v1/reels/trending-hashtags?category=17",
    "/api/v1/feed",
    "/api/v1/feed/trending",
    "/api/v1/discover/suggested-users",
    "/api/v1/discover/creators",
    "/api/v1/reels/search?q=video",  # which is in the title of each
    "/api/v1/reels/search?q=vidio",
)

# Statements that no request sends.
NOBODY_WAITS_FOR = {"recent_viewers"}


@pytest.fixture(scope="module")
def large_clickhouse_url(
    own_clickhouse_url: str, build_ranking_models: Callable[[str], None]
) -> str:
    build_ranking_models(own_clickhouse_url)
    with clickhouse_connect.get_client(dsn=own_clickhouse_url) as client:
        for statement in WORLD:
            client.command(statement.format(rows=ROWS, creators=CREATORS, viewer=VIEWER))
        refresh_ranking(own_clickhouse_url)
        client.command("system stop views")  # nothing changes any more
    return own_clickhouse_url


@pytest.fixture
def client(large_clickhouse_url: str) -> Iterator[Client]:
    with clickhouse_connect.get_client(dsn=large_clickhouse_url) as client:
        yield client


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Most rows read by each statement that was sent."""
    found: dict[str, int] = {}
    ask, lines = ClickHouse.query_in_place, ClickHouse.lines_in_place

    async def noting(self: ClickHouse, sql: str, *arguments: Any) -> QueryResult:
        result = await ask(self, sql, *arguments)
        found[sql] = max(found.get(sql, 0), int(result.summary["read_rows"]))
        return result

    async def noting_lines(self: ClickHouse, sql: str, *arguments: Any) -> bytes:
        await noting(self, sql, *arguments)  # lines do not say how much was read
        return await lines(self, sql, *arguments)

    monkeypatch.setattr(ClickHouse, "query_in_place", noting)
    monkeypatch.setattr(ClickHouse, "lines_in_place", noting_lines)
    return found


async def test_no_statement_of_a_request_reads_more_than_its_bound(
    settings: Settings,
    large_clickhouse_url: str,
    client: Client,
    bearer: Token,
    read: dict[str, int],
) -> None:
    for table in ("videos", "posts", "follows", "user_author_90d", "user_watch_history"):
        assert int(client.command(f"select count() from raw.{table}")) > 3 * ROWS_READ_MAX, table

    settings = msgspec.structs.replace(settings, clickhouse_url=large_clickhouse_url)
    # Somebody with lists of their own, and somebody of whom nothing is known.
    viewers = (VIEWER, 5_000_000_000)
    async with serving(settings) as api:
        for viewer, path in itertools.product(viewers, PAGES):
            answer = await api.get(path, headers=bearer(viewer))
            assert answer.status_code == 200, answer.text

    # Where a walk goes on behind its first ranking.
    clickhouse = ClickHouse(settings)
    shown = list(range(500))
    now = datetime.now(UTC)
    try:
        for viewer in viewers:
            asked = [reels.Viewer(viewer, "default", shown)]
            await reels.ReelQueries(clickhouse, settings).rank(asked, now_ms(), 30.0)
            await feed.PostQueries(clickhouse).feed(viewer, now, "default", shown)
        # What a page shows while Postgres cannot say.
        await clickhouse.query(reels.SQL["cards"], {"video_ids": shown})
    finally:
        await clickhouse.close()

    statements = {
        (module.__name__, name): sql
        for module in (reels, feed, discovery, trending, search)
        for name, sql in module.SQL.items()
        if name not in NOBODY_WAITS_FOR
    }
    never = {key for key, sql in statements.items() if sql not in read}
    assert not never, "asked for by none of these requests"
    names = {sql: key for key, sql in statements.items()}
    too_many = {names.get(sql, sql): rows for sql, rows in read.items() if rows > ROWS_READ_MAX}
    assert not too_many, too_many
    assert max(read.values()) > 100, "requests that read nothing check nothing"
