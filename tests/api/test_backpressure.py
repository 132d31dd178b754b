"""Postgres that is slow, full, cut off or restarted: refused in bounded time, never piled up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest

from api.stack.ports import free_port
from api.stores import (
    POSTGRES_FAILURES_TO_OPEN,
    POSTGRES_OPEN_SECONDS,
    Postgres,
    RefusedError,
    StoreUnavailableError,
)
from tests.api.proxy import Proxy
from tests.conftest import settings_on

NAP = "select pg_sleep(%(seconds)s)"
ANSWER = "select 42 as answer, %(note)s::jsonb as note"

Open = Callable[..., Any]


@pytest.fixture
async def line(postgres_url: str) -> AsyncIterator[Proxy]:
    """A line to Postgres that can be cut or slowed down."""
    async with Proxy(postgres_url, free_port()) as proxy:
        yield proxy


@asynccontextmanager
async def connected(url: str, **given: Any) -> AsyncIterator[Postgres]:
    """The store, at an address."""
    postgres = Postgres(settings_on(postgres_url=url, **given))
    await postgres.open()
    yield postgres
    await postgres.close()


async def answers(postgres: Postgres) -> bool:
    """Say whether a statement comes through."""
    try:
        rows = await postgres.rows(ANSWER, {"note": '{"a": [1, null]}'})
    except StoreUnavailableError:
        return False
    return rows == [{"answer": 42, "note": {"a": [1, None]}}]


async def test_each_statement_is_committed(postgres_url: str) -> None:
    async with connected(postgres_url) as postgres:
        assert await answers(postgres)
        await postgres.rows("insert into app.users (id) values (%(id)s)", {"id": 7})
        assert await postgres.rows("select count(*) as n from app.users", {}) == [{"n": 1}]


@pytest.mark.parametrize(
    "note", ["a\0b", '"\\u0000"', '"\\ud800"', "\ud800", "1e1000000", "[" * 100_000, "{"]
)
async def test_what_cannot_be_stored_is_the_inputs_fault(postgres_url: str, note: str) -> None:
    async with connected(postgres_url) as postgres:
        for _ in range(POSTGRES_FAILURES_TO_OPEN + 1):
            with pytest.raises(RefusedError) as refused:
                await postgres.rows(ANSWER, {"note": note})
            assert refused.value.code == "NV400"
        assert await answers(postgres)  # and no circuit has opened


async def test_more_than_may_wait_are_refused_at_once(postgres_url: str) -> None:
    async with connected(postgres_url, postgres_pool_max=2, postgres_waiting_max=3) as postgres:
        await asyncio.gather(*(postgres.rows(NAP, {"seconds": 0.1}) for _ in range(2)))
        naps = [asyncio.create_task(postgres.rows(NAP, {"seconds": 0.5})) for _ in range(40)]
        done, _ = await asyncio.wait(naps, return_when=asyncio.FIRST_COMPLETED)
        # Those that found the queue full, before any of those in it could be done.
        assert done
        assert all(isinstance(nap.exception(), StoreUnavailableError) for nap in done)
        outcomes = await asyncio.gather(*naps, return_exceptions=True)
        served = [rows for rows in outcomes if isinstance(rows, list)]
        assert len(served) == 2 + 3
        assert await answers(postgres)  # a full queue opens no circuit


async def test_a_slow_statement_ends_and_its_connection_lives_on(postgres_url: str) -> None:
    async with connected(postgres_url, postgres_timeout_ms=300, postgres_pool_max=1) as postgres:
        backend = await postgres.rows("select pg_backend_pid() as pid", {})
        with pytest.raises(StoreUnavailableError):
            await postgres.rows(NAP, {"seconds": 30})
        assert await postgres.rows("select pg_backend_pid() as pid", {}) == backend


async def test_a_server_that_does_not_answer_is_not_waited_for(line: Proxy) -> None:
    async with connected(line.url, postgres_timeout_ms=300, postgres_pool_max=1) as postgres:
        assert await answers(postgres)
        line.slow(60)
        started = time.monotonic()
        assert not await answers(postgres)
        assert time.monotonic() - started < 30
        line.mend()
        assert await eventually(postgres)


async def test_connections_that_ended_while_idle_are_nobodys_failure(postgres_url: str) -> None:
    async with connected(postgres_url, postgres_pool_max=4) as postgres:
        await asyncio.gather(*(postgres.rows(NAP, {"seconds": 0.1}) for _ in range(4)))
        with psycopg.connect(postgres_url, autocommit=True) as admin:
            admin.execute(
                "select pg_terminate_backend(pid, 5000) from pg_stat_activity "
                "where application_name = 'nova-api' and datname = current_database()"
            )
        assert all(await asyncio.gather(*(answers(postgres) for _ in range(4))))


async def test_the_circuit_opens_while_postgres_is_away_and_closes_again(line: Proxy) -> None:
    async with connected(line.url, postgres_timeout_ms=200) as postgres:
        assert await answers(postgres)
        line.cut()
        for _ in range(POSTGRES_FAILURES_TO_OPEN):
            assert not await answers(postgres)
        assert postgres.breaker.is_refusing
        line.mend()
        assert not await answers(postgres)  # left alone for a while
        assert await eventually(postgres)


async def eventually(postgres: Postgres) -> bool:
    """Say whether statements come through again, after the circuit's time."""
    for _ in range(50):
        await asyncio.sleep(POSTGRES_OPEN_SECONDS / 5)
        if await answers(postgres):
            return True
    return False
