"""Posts to rank: in Postgres, and in ClickHouse once the landing worker has been through."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import redis

from api.settings import Settings
from api.workers import LANDED_KEY
from tests.api.conftest import Catalogue, new_id
from tests.api.feeds import landing_worker
from tests.conftest import settings_on

AUTHORS, POSTS = 40, 600  # some authors have many posts, some few


class PostWorld:
    """Authors with posts of the last sixty hours, and viewers who follow most of them."""

    def __init__(self, settings: Settings, postgres: psycopg.Connection[Any]) -> None:
        self.settings = settings
        self.postgres = postgres
        self.authors = self.users(AUTHORS)
        self.author_of: dict[int, int] = {}
        self.created_at: dict[int, datetime] = {}
        dice = random.Random(11)
        for number in range(POSTS):
            author = self.authors[min(dice.randrange(AUTHORS), dice.randrange(AUTHORS))]
            self.publish(author, timedelta(minutes=5 + 6 * number))

    def users(self, count: int) -> list[int]:
        """Make users."""
        ids = [new_id() for _ in range(count)]
        self.postgres.execute("insert into app.users (id) select unnest(%s::bigint[])", [ids])
        return ids

    def publish(self, author: int, age: timedelta) -> int:
        """Publish a post as if some time ago."""
        post, created_at = new_id(), datetime.now(UTC) - age
        self.postgres.execute(
            "insert into app.posts (id, author_id, body, created_at) values (%s, %s, 'hello', %s)",
            [post, author, created_at],
        )
        self.author_of[post], self.created_at[post] = author, created_at
        return post

    def viewer(self, follows: Sequence[int] | None = None) -> int:
        """Make a viewer who follows some authors: three of four, if not told whom."""
        [viewer] = self.users(1)
        self.postgres.execute(
            "insert into app.follows (follower_id, followee_id) select %s, unnest(%s::bigint[])",
            [viewer, list(self.authors[10:] if follows is None else follows)],
        )
        self.land()
        return viewer

    def posts_of(self, *authors: int) -> set[int]:
        """Their posts."""
        return {post for post, author in self.author_of.items() if author in authors}

    def land(self) -> None:
        """Wait until everything written so far is in ClickHouse."""
        row = self.postgres.execute("select pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
        wanted = row.fetchone()[0] - 1
        deadline = time.monotonic() + 60
        with redis.Redis.from_url(self.settings.redis_url) as client:
            while int(client.get(LANDED_KEY) or 0) < wanted:
                assert time.monotonic() < deadline, "nothing lands"
                time.sleep(0.02)


@contextmanager
def post_world(settings: Settings, catalogue: Catalogue) -> Iterator[PostWorld]:
    """Make a world of posts, ranked and kept up to date until the block ends."""
    with (
        psycopg.connect(settings.postgres_url, autocommit=True) as postgres,
        landing_worker(settings),
    ):
        world = PostWorld(settings, postgres)
        world.land()
        catalogue.refresh()
        yield world


def posts_settings(postgres_url: str, redis_url: str, clickhouse_url: str) -> Settings:
    """Settings of a service of posts, under which a busy machine has the time it needs."""
    return settings_on(
        postgres_url=postgres_url,
        redis_url=redis_url,
        clickhouse_url=clickhouse_url,
        workers=1,
        rate_limit_per_minute=100_000,
        log_level="warning",
        clickhouse_timeout_ms=30_000,
        clickhouse_wait_ms=15_000,
        postgres_timeout_ms=8_000,
        timeline_timeout_ms=8_000,
        redis_timeout_ms=5_000,
        counters_timeout_ms=10_000,
        landing_interval_ms=50,
        landing_wait_ms=20_000,
    )
