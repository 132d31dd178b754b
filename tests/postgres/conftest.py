"""A small world in a database of its own, and short ways to act in it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from api.stack.postgres import DATABASE, PostgresServer

VIEWER = 7

BLOCKED_SESSIONS = """
select count(*)
from pg_stat_activity
where datname = current_database() and cardinality(pg_blocking_pids(pid)) > 0
"""

Ingest = Callable[..., tuple[int, int]]
Event = Callable[..., dict[str, Any]]
Refused = Callable[[str], AbstractContextManager[SimpleNamespace]]


def until_blocked(connection: psycopg.Connection[Any], calls: list[Future[Any]]) -> None:
    """Wait until as many sessions wait as there are calls; none of these may be through."""
    deadline = time.monotonic() + 30
    while connection.execute(BLOCKED_SESSIONS).fetchone() != (len(calls),):
        assert not any(call.done() for call in calls)
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def postgres(postgres_url: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection to the test's database; every statement is a transaction."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def shared_postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """A migrated database for a whole module: making one takes longer than most tests."""
    name = sql.Identifier(f"test_{uuid4().hex[:12]}")
    with psycopg.connect(postgres_server.address("postgres"), autocommit=True) as admin:
        admin.execute(
            sql.SQL("create database {} template {}").format(name, sql.Identifier(DATABASE))
        )
        yield postgres_server.address(name.as_string().strip('"'))
        admin.execute(sql.SQL("drop database {} with (force)").format(name))


@pytest.fixture
def empty_postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """A database without anything in it."""
    name = sql.Identifier(f"test_{uuid4().hex[:12]}")
    with psycopg.connect(postgres_server.address("postgres"), autocommit=True) as admin:
        admin.execute(sql.SQL("create database {} template template0").format(name))
        yield postgres_server.address(name.as_string().strip('"'))
        admin.execute(sql.SQL("drop database {} with (force)").format(name))


def populate(connection: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    connection.execute("insert into app.users (id) values (1), (2), (7), (8)")
    connection.execute(
        """
        insert into app.videos (id, creator_id, status, published_at)
        select n, 1, 'published', now() from generate_series(0, 9) as n
        """
    )
    connection.execute(
        "insert into app.posts (id, author_id, body) select n, 2, 'hello' from"
        " generate_series(0, 9) as n"
    )
    return connection


@pytest.fixture
def world(postgres: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    """Creators 1 and 2, viewers 7 and 8, videos 0 to 9 of creator 1 and posts 0 to 9 of 2."""
    return populate(postgres)


@pytest.fixture(scope="module")
def shared_world(shared_postgres_url: str) -> Iterator[psycopg.Connection[Any]]:
    """The same world for a whole module; for tests that are refused, and so change nothing."""
    with psycopg.connect(shared_postgres_url, autocommit=True) as connection:
        yield populate(connection)


@pytest.fixture
def now() -> datetime:
    """The second the test runs in, the same all through the test."""
    return datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def event(now: datetime) -> Event:
    """An event as a client sends it: a view of video 1, `ago` seconds before now."""

    def make(action: str = "view", ago: float = 0, **fields: Any) -> dict[str, Any]:
        at = now - timedelta(seconds=ago)
        return {
            "event_time": at.isoformat(),
            "item_type": "video",
            "item_id": "1",
            "action": action,
            "device": "phone",
            "app_ver": "1.2.3",
            **fields,
        }

    return make


def sender(connection: psycopg.Connection[Any]) -> Ingest:
    def send(*events: dict[str, Any], viewer: int = VIEWER) -> tuple[int, int]:
        row = connection.execute(
            "select received, deduped from app.ingest_events(%s, %s)", (viewer, json.dumps(events))
        ).fetchone()
        assert row is not None
        return row

    return send


@pytest.fixture
def ingest(world: psycopg.Connection[Any]) -> Ingest:
    """Send a batch; returns how many were received and deduped."""
    return sender(world)


@pytest.fixture
def shared_ingest(shared_world: psycopg.Connection[Any]) -> Ingest:
    """Send a batch that will be refused."""
    return sender(shared_world)


@pytest.fixture
def refused() -> Refused:
    """Expect a refusal with this code; gives its errors, and those of the first by name."""

    @contextmanager
    def expect(code: str) -> Iterator[SimpleNamespace]:
        refusal = SimpleNamespace()
        with pytest.raises(psycopg.Error) as caught:
            yield refusal
        assert caught.value.sqlstate == code, caught.value
        refusal.errors = json.loads(caught.value.diag.message_detail or "{}")["errors"]
        refusal.__dict__.update(refusal.errors[0])

    return expect
