"""The whole service on real servers, a catalogue to rank, and ways to break the stores."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import clickhouse_connect
import httpx
import msgspec
import psycopg
import pytest
from clickhouse_connect.driver import Client
from litestar import Litestar

from api.app import create_app
from api.auth import issue_token
from api.settings import Settings
from api.stack.ports import free_port
from tests.api.proxy import Proxy
from tests.conftest import settings_on

# Above 2^53: an id that passes through a double anywhere does not come back.
BIG = 2**53 + 1
ids = itertools.count(BIG, 10_001)

Api = httpx.AsyncClient


def new_id() -> int:
    """An id nobody else has; servers are shared by all tests of a session."""
    return next(ids)


@pytest.fixture(scope="session")
def clickhouse(ranked_clickhouse_url: str) -> Iterator[Client]:
    """A client of the ranked ClickHouse."""
    with clickhouse_connect.get_client(dsn=ranked_clickhouse_url) as client:
        yield client


PUBLISH = """
with

published as (

    select *
    from
        unnest(
            %(ids)s::bigint[], %(creator_ids)s::bigint[], %(titles)s::text[],
            %(thumbnails)s::text[], %(times)s::timestamptz[]
        ) as videos (id, creator_id, title, thumbnail_url, at)

),

creators as (

    insert into app.users (id)
    select distinct creator_id from published
    on conflict do nothing

)

insert into app.videos
    (id, creator_id, title, thumbnail_url, duration_ms, status, created_at, published_at)
select id, creator_id, title, thumbnail_url, 15500, 'published', at, at
from published
"""


class Catalogue:
    """
    Writes what change capture would land, and has the ranking look at it.

    While a test's Postgres is `known_to`, its videos are there, too: ClickHouse is everybody's.
    """

    def __init__(self, client: Client) -> None:
        self.client = client
        self._videos: list[list[Any]] = []
        self._postgres: psycopg.Connection[Any] | None = None
        self._version = itertools.count(datetime.now(UTC).timestamp().__trunc__() * 1000)

    def insert(
        self,
        table: str,
        columns: Sequence[str],
        rows: Sequence[Sequence[Any]],
        *,
        is_deleted: bool = False,
    ) -> None:
        """Land rows of an entity, each a version newer than all before."""
        version = next(self._version)
        self.client.insert(
            f"raw.{table}",
            [[*row, is_deleted, 1, version] for row in rows],
            column_names=[*columns, "deleted", "_txid", "_version"],
        )

    @contextmanager
    def known_to(self, postgres_url: str) -> Iterator[None]:
        """Have a Postgres know every video there is, and those to come."""
        with psycopg.connect(postgres_url, autocommit=True) as self._postgres:
            self._publish(self._videos)
            yield
        self._postgres = None

    def remember(self, rows: Sequence[Sequence[Any]]) -> None:
        """Have the Postgres of later tests know videos that stay in ClickHouse, too."""
        self._videos += rows

    def _publish(self, rows: Sequence[Sequence[Any]]) -> None:
        if self._postgres is None:
            return
        ids, creator_ids, titles, thumbnails, times = zip(*rows, strict=True)
        self._postgres.execute(
            PUBLISH,
            {
                "ids": list(ids),
                "creator_ids": list(creator_ids),
                "titles": list(titles),
                "thumbnails": list(thumbnails),
                "times": list(times),
            },
        )

    def videos(
        self,
        count: int,
        *,
        creators: int = 400,
        age: timedelta = timedelta(hours=1),
        sound_id: int = 0,
        category: str = "",
        hashtags: Sequence[str] = (),
    ) -> list[int]:
        """Publish videos, a second apart, by creators of their own in turn."""
        creator_ids = [new_id() for _ in range(creators)]
        published = datetime.now(UTC) - age
        rows = []
        for number in range(count):
            at = published - timedelta(seconds=number)
            rows.append(
                [
                    new_id(),
                    creator_ids[number % creators],
                    sound_id,
                    category,
                    f'video {number} "quoted" \n 🎬',
                    "",
                    list(hashtags),
                    15_500,
                    "published",
                    at,
                    at,
                    f"thumbs/{number}.jpg" if number % 2 else "",
                ]
            )
        self.insert(
            "videos",
            [
                "video_id",
                "creator_id",
                "sound_id",
                "category",
                "title",
                "description",
                "hashtags",
                "duration_ms",
                "status",
                "created_at",
                "published_at",
                "thumbnail_url",
            ],
            rows,
        )
        new = [[row[0], row[1], row[4], row[11], row[9]] for row in rows]
        self._videos += new
        self._publish(new)
        return [row[0] for row in rows]

    def plays(self, played: dict[int, float], *, views: int = 500) -> None:
        """Count plays of videos in this hour, with a rate of completion."""
        hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        self.client.insert(
            "raw.video_ranking_signals_1h",
            [
                [video, hour, views, views, views * rate, views, 0, 0, 0, 0, 0]
                for video, rate in played.items()
            ],
            column_names=[
                "video_id",
                "hour",
                "impressions",
                "views",
                "completions",
                "known_completions",
                "watch_ms",
                "likes",
                "shares",
                "comments",
                "not_interested",
            ],
        )

    def refresh(self) -> None:
        """Have every precomputed model look now, those that others read first."""
        views = self.client.query(
            "select view from system.view_refreshes where database = 'nova' "
            "order by match(view, '_(cards|signals)_mv$') desc, "
            "view like 'trending_%' desc, view"
        ).result_columns[0]
        for view in views:
            for _ in range(2):  # one may be under way that began before our rows were there
                self.client.command(f"system refresh view nova.`{view}`")
                self.client.command(f"system wait view nova.`{view}`")
        self.client.command("system reload dictionaries")

    def public_ids(self) -> set[int]:
        """Everything a feed may show to somebody without history."""
        return set(self.client.query("select video_id from nova.reel_cards").result_columns[0])


@pytest.fixture(scope="session")
def catalogue(clickhouse: Client) -> Catalogue:
    """A catalogue of some 1,200 ranked videos."""
    catalogue = Catalogue(clickhouse)
    videos = catalogue.videos(1_200)
    # Ties are the rule: only 50 different rates, the rest at the prior.
    catalogue.plays({video: (n % 50) / 50 for n, video in enumerate(videos[:600])})
    catalogue.refresh()
    return catalogue


@pytest.fixture
def settings(settings: Settings, catalogue: Catalogue) -> Iterator[Settings]:
    """Settings of the test's service; limits are tested where they are meant."""
    with catalogue.known_to(settings.postgres_url):
        yield msgspec.structs.replace(
            settings,
            rate_limit_per_minute=100_000,
            log_level="warning",
            # A busy machine must not fail tests of something else.
            clickhouse_timeout_ms=30_000,
            redis_timeout_ms=5_000,
            counters_timeout_ms=10_000,
            cards_timeout_ms=10_000,
        )


@asynccontextmanager
async def serving(settings: Settings, app: Litestar | None = None) -> AsyncIterator[Api]:
    """
    Run the service on this event loop, so that requests are concurrent.

    (Litestar's own test client runs each request in a thread and blocks the loop meanwhile.)
    """
    app = app or create_app(settings)
    started, ended = asyncio.Event(), asyncio.Event()

    async def live() -> None:
        # In a task of its own: fixtures are set up and torn down in different ones.
        async with app.lifespan():
            started.set()
            await ended.wait()

    life = asyncio.create_task(live())
    waiting = asyncio.create_task(started.wait())
    await asyncio.wait({life, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    try:
        if not life.done():
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://nova") as api:
                yield api
    finally:
        ended.set()
        await life


@pytest.fixture
async def api(settings: Settings, catalogue: Catalogue) -> AsyncIterator[Api]:
    """The service, with a catalogue to rank."""
    async with serving(settings) as api:
        yield api


Token = Callable[..., dict[str, str]]


@pytest.fixture
def bearer() -> Token:
    """Headers of a viewer; every service of the tests has the same secret."""
    settings = settings_on()

    def headers(
        viewer_id: int, *, ttl_seconds: int = 600, is_admin: bool = False
    ) -> dict[str, str]:
        token = issue_token(settings, user_id=viewer_id, ttl_seconds=ttl_seconds, is_admin=is_admin)
        return {"Authorization": f"Bearer {token}"}

    return headers


@pytest.fixture
async def clickhouse_proxy(settings: Settings) -> AsyncIterator[Proxy]:
    """A line to ClickHouse that can be cut or slowed down."""
    async with Proxy(settings.clickhouse_url, free_port()) as proxy:
        yield proxy


@pytest.fixture
async def redis_proxy(settings: Settings) -> AsyncIterator[Proxy]:
    """A line to Redis that can be cut or slowed down."""
    async with Proxy(settings.redis_url, free_port()) as proxy:
        yield proxy


REELS, POSTS = "/api/v1/reels", "/api/v1/feed"


async def page(
    api: Api, headers: dict[str, str], path: str = REELS, **parameters: Any
) -> dict[str, Any]:
    """Ask for one page of a feed, which must come."""
    response = await api.get(path, headers=headers, params=parameters)
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


def ids_of(body: dict[str, Any]) -> list[int]:
    """The ids of a page."""
    return [int(item.get("id") or item["post_id"]) for item in body["data"]]


async def walk(
    api: Api,
    headers: dict[str, str],
    *,
    limit: int = 50,
    between: Callable[[int], None] | None = None,
    pages: int = 1_000,
    cursor: str | None = None,
    path: str = REELS,
    **parameters: Any,
) -> tuple[list[int], str | None]:
    """Follow cursors; returns the ids in order and the cursor that was not followed."""
    shown: list[int] = []
    for number in range(pages):
        asked = parameters | {"limit": limit} | ({"cursor": cursor} if cursor else {})
        body = await page(api, headers, path, **asked)
        shown += ids_of(body)
        cursor = body["next_cursor"]
        assert body["has_more"] == (cursor is not None)
        assert cursor is None or len(cursor) < 200
        if cursor is None:
            return shown, None
        if between is not None:
            between(number)
    return shown, cursor


class World:
    """Users, videos and posts in Postgres, and what became of them. Ids are above 2^53."""

    def __init__(self, postgres: psycopg.Connection[Any]) -> None:
        self.postgres = postgres
        self.viewer, self.other, self.creator, self.author = (new_id() for _ in range(4))
        self.videos = [new_id() for _ in range(5)]
        self.posts = [new_id() for _ in range(5)]
        self.video, self.post = self.videos[0], self.posts[0]
        self.deleted_video, self.deleted_post, self.deleted_user = (new_id() for _ in range(3))
        users = [self.viewer, self.other, self.creator, self.author, self.deleted_user]
        postgres.execute(
            "insert into app.users (id, username, deleted) "
            "select id, 'u' || id, id = %s from unnest(%s::bigint[]) as id",
            (self.deleted_user, users),
        )
        postgres.execute(
            "insert into app.videos (id, creator_id, status, published_at, deleted) "
            "select id, %s, 'published', now(), id = %s from unnest(%s::bigint[]) as id",
            (self.creator, self.deleted_video, [*self.videos, self.deleted_video]),
        )
        postgres.execute(
            "insert into app.posts (id, author_id, body, deleted) "
            "select id, %s, 'hello', id = %s from unnest(%s::bigint[]) as id",
            (self.author, self.deleted_post, [*self.posts, self.deleted_post]),
        )

    def one(self, query: str, *parameters: Any) -> Any:
        """The only value of a query."""
        row = self.postgres.execute(query, parameters).fetchone()
        assert row is not None
        return row[0]

    def events(self, **where: Any) -> int:
        """How many events about these items are stored, of those with these values (count)."""
        items = [*self.videos, *self.posts, self.deleted_video, self.deleted_post]
        conditions = "".join(f" and {column} = %({column})s" for column in where)
        query = f"select count(*) from app.events where item_id = any(%(items)s){conditions}"
        row = self.postgres.execute(query, where | {"items": items}).fetchone()
        assert row is not None
        return int(row[0])


@pytest.fixture(scope="module")
def shared_postgres_url(clone_database: Callable[[], AbstractContextManager[str]]) -> Iterator[str]:
    """A database for a whole module: making one takes longer than most tests."""
    with clone_database() as url:
        yield url


@pytest.fixture
def storing(shared_postgres_url: str, redis_url: str) -> Settings:
    """Settings of a service that takes writes; it has no ClickHouse, which no write needs."""
    return settings_on(
        postgres_url=shared_postgres_url,
        redis_url=redis_url,
        rate_limit_per_minute=100_000,
        log_level="error",
        # A busy machine must not fail tests of something else.
        redis_timeout_ms=5_000,
        postgres_timeout_ms=30_000,
    )


@pytest.fixture
def world(shared_postgres_url: str) -> Iterator[World]:
    """Something to act on, that no other test knows."""
    with psycopg.connect(shared_postgres_url, autocommit=True) as postgres:
        yield World(postgres)


@pytest.fixture
async def writing(storing: Settings) -> AsyncIterator[Api]:
    """The service without a ranking."""
    async with serving(storing) as api:
        yield api


def problem_of(response: httpx.Response, status: int, slug: str, *fields: str) -> dict[str, Any]:
    """Check what every problem has, and that it names exactly these fields; returns it."""
    body: dict[str, Any] = response.json()
    assert response.status_code == body["status"] == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert body["type"].rpartition("/")[2] == slug
    assert [error["field"] for error in body.get("errors", [])] == list(fields)
    assert all(error["message"] for error in body.get("errors", []))
    assert "regex" not in response.text
    return body
