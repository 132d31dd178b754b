"""Real Postgres, Redis and ClickHouse for every test that needs one; each worker has its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import redis
from psycopg import sql

from api.migrate import migrate_clickhouse, migrate_postgres
from api.serve import environment_of
from api.settings import Settings
from api.stack.clickhouse import ClickHouseServer
from api.stack.dbt import dbt
from api.stack.migrations import cluster_variables
from api.stack.ports import free_port
from api.stack.postgres import DATABASE, PostgresServer
from api.stack.redis import RedisServer

ROOT = Path(__file__).parent.parent

PASSWORD = "only-for-tests-' \"/@"  # every character that quoting gets wrong
SECRET = "tests-sign-with-this-and-nobody-else-does"


def settings_on(**given: Any) -> Settings:
    """Settings of a test's own world; nobody is at addresses that are not given."""
    nowhere = {
        "postgres_url": "postgresql://nobody@127.0.0.1:1/nova",
        "redis_url": "redis://127.0.0.1:1/0",
        "clickhouse_url": "http://127.0.0.1:1/",
    }
    secrets = {"jwt_secret": SECRET, "cursor_secret": SECRET[::-1]}
    return Settings.from_environ({}, **{**nowhere, **secrets, **given})


def child_environment(settings: Settings) -> dict[str, str]:
    """Our environment with these settings alone, for a program in a process of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NOVA_")}
    return kept | environment_of(settings)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """In CI a skip is a failure: what was to be checked was not."""
    report = yield
    if report.skipped and os.environ.get("CI") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def server_root() -> Iterator[Path]:
    """A short path (sockets, long names) that every uid may enter; gone after the session."""
    path = Path(tempfile.mkdtemp(prefix="nova-test-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server(server_root: Path) -> Iterator[PostgresServer]:
    """A server whose `nova` database is migrated and serves as the template of every test's."""
    # Nothing here survives a power cut anyway, and cloning a database is four times as fast.
    # Tests that kill servers start their own, with fsync.
    options = {"fsync": "off", "full_page_writes": "off"}
    server = PostgresServer(server_root / "postgres", free_port(), PASSWORD, options)
    server.start()
    migrate_postgres(server.url, ROOT)
    yield server
    server.stop()


@contextmanager
def cloned_database(server: PostgresServer) -> Iterator[str]:
    """A migrated database of one's own; gone at the end."""
    name = f"test_{uuid4().hex[:12]}"
    clone = sql.SQL("create database {} template {} strategy file_copy").format(
        sql.Identifier(name), sql.Identifier(DATABASE)
    )
    drop = sql.SQL("drop database {} with (force)").format(sql.Identifier(name))
    with psycopg.connect(server.address("postgres"), autocommit=True) as admin:
        admin.execute(clone)
        yield server.address(name)
        admin.execute(drop)


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """A database of the test's own, cloned from the migrated one."""
    with cloned_database(postgres_server) as url:
        yield url


@pytest.fixture(scope="session")
def redis_server(server_root: Path) -> Iterator[RedisServer]:
    """A Redis server for the session."""
    server = RedisServer(server_root / "redis", free_port(), PASSWORD.replace('"', ""))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """Redis, empty."""
    redis_server.start()
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
    return redis_server.url


@pytest.fixture(scope="session")
def clickhouse_server(server_root: Path) -> Iterator[ClickHouseServer]:
    """An engine process for the session."""
    server = ClickHouseServer(server_root / "clickhouse", free_port(), PASSWORD)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def clickhouse_url(clickhouse_server: ClickHouseServer) -> str:
    """ClickHouse with the `raw` database; shared, so tests use ids of their own."""
    migrate_clickhouse(clickhouse_server.url, ROOT, variables=cluster_variables(""))
    return clickhouse_server.url


def build_models(url: str, target_path: Path) -> None:
    """Build the `nova` models, as `up` does."""
    built = dbt(
        ["build", "--quiet", "--exclude-resource-type", "unit_test"],
        url,
        target_path=target_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert built.returncode == 0, built.stdout.decode()


@pytest.fixture(scope="session")
def ranked_clickhouse_url(clickhouse_url: str, server_root: Path) -> str:
    """ClickHouse with `raw` and the built `nova` models."""
    build_models(clickhouse_url, server_root / "dbt")
    return clickhouse_url


@pytest.fixture(scope="module")
def own_clickhouse_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A migrated ClickHouse of one module alone, whose rows are in nobody else's charts."""
    server = ClickHouseServer(tmp_path_factory.mktemp("clickhouse"), free_port(), PASSWORD)
    server.start()
    migrate_clickhouse(server.url, ROOT, variables=cluster_variables(""))
    yield server.url
    server.stop()


@pytest.fixture(scope="session")
def clone_database(
    postgres_server: PostgresServer,
) -> Callable[[], AbstractContextManager[str]]:
    """Make a database that lives longer than one test."""
    return lambda: cloned_database(postgres_server)


@pytest.fixture(scope="session")
def build_ranking_models(server_root: Path) -> Callable[[str], None]:
    """Build the models in a ClickHouse of the test's own."""
    return lambda url: build_models(url, server_root / f"dbt-{uuid4().hex[:8]}")


@pytest.fixture
def settings(postgres_url: str, redis_url: str, ranked_clickhouse_url: str) -> Settings:
    """Settings of a whole service on the test's servers."""
    return settings_on(
        postgres_url=postgres_url,
        redis_url=redis_url,
        clickhouse_url=ranked_clickhouse_url,
        workers=1,
    )
