"""Stores that are away or slow: the level is told, and the client gets the best there is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import msgspec
import pytest
from prometheus_client import REGISTRY

from api.settings import Settings
from api.stores import (
    CLICKHOUSE_FAILURES_TO_OPEN,
    CLICKHOUSE_OPEN_SECONDS,
    ClickHouse,
    StoreUnavailableError,
)
from tests.api.conftest import Api, Catalogue, Token, ids_of, new_id, page, serving, walk
from tests.api.proxy import Proxy

TIMEOUT_MS = 1_000


@pytest.fixture
async def fragile(
    settings: Settings, catalogue: Catalogue, clickhouse_proxy: Proxy, redis_proxy: Proxy
) -> AsyncIterator[Api]:
    """The service behind lines that can be cut; a snapshot is a first page for a second only."""
    lines = msgspec.structs.replace(
        settings,
        clickhouse_url=clickhouse_proxy.url,
        redis_url=redis_proxy.url,
        snapshot_fresh_seconds=1,
        # Long enough that a busy machine's good answers are not taken for slow ones.
        clickhouse_timeout_ms=10_000,
        redis_timeout_ms=500,
    )
    async with serving(lines) as api:
        yield api


async def test_without_redis_pages_come_from_clickhouse(
    fragile: Api, bearer: Token, redis_proxy: Proxy
) -> None:
    redis_proxy.cut()
    for _ in range(3):
        body = await page(fragile, bearer(new_id()))
        assert len(body["data"]) == 40
        assert (body["meta"]["degraded"], body["meta"]["fallback"]) == ("no_cache", False)


async def test_a_redis_that_does_not_answer_costs_a_bounded_time(
    settings: Settings, catalogue: Catalogue, bearer: Token, redis_proxy: Proxy
) -> None:
    slow = msgspec.structs.replace(settings, redis_url=redis_proxy.url, redis_timeout_ms=100)
    async with serving(slow) as api:
        redis_proxy.slow(3)
        for _ in range(6):
            assert (await page(api, bearer(new_id())))["meta"]["degraded"] == "no_cache"
        # By now its circuit is open and nobody waits for it.
        started = time.perf_counter()
        assert (await api.get("/api/v1/nothing")).status_code == 404
        assert time.perf_counter() - started < 0.09


async def test_without_clickhouse_the_last_good_ranking_is_served(
    fragile: Api, bearer: Token, clickhouse_proxy: Proxy
) -> None:
    viewer = new_id()
    good = await page(fragile, bearer(viewer))
    await asyncio.sleep(1.1)
    clickhouse_proxy.cut()

    stale = await page(fragile, bearer(viewer))
    assert stale["data"] == good["data"]
    assert (stale["meta"]["degraded"], stale["meta"]["fallback"]) == ("stale", True)
    assert stale["meta"]["as_of"] == good["meta"]["as_of"]
    more, _ = await walk(fragile, bearer(viewer), cursor=stale["next_cursor"], pages=2)
    assert not set(more) & set(ids_of(good))


async def test_without_clickhouse_and_without_an_earlier_ranking_it_is_a_503(
    fragile: Api, bearer: Token, clickhouse_proxy: Proxy
) -> None:
    clickhouse_proxy.cut()
    response = await fragile.get("/api/v1/reels", headers=bearer(new_id()))
    assert response.status_code == 503
    assert response.headers["content-type"] == "application/problem+json"
    assert int(response.headers["retry-after"]) >= 1
    assert response.json()["type"].endswith("/problems/unavailable")
    assert "ClickHouse" not in response.text
    assert "127.0.0.1" not in response.text


async def test_without_both_it_is_a_503(
    fragile: Api, bearer: Token, clickhouse_proxy: Proxy, redis_proxy: Proxy
) -> None:
    viewer = new_id()
    cursor = (await page(fragile, bearer(viewer)))["next_cursor"]
    clickhouse_proxy.cut()
    redis_proxy.cut()
    for parameters in ({}, {"cursor": cursor}, {"since": cursor}):
        response = await fragile.get("/api/v1/reels", headers=bearer(viewer), params=parameters)
        assert response.status_code == 503
        assert response.headers["retry-after"]


async def test_a_slow_clickhouse_is_not_waited_for(
    settings: Settings, catalogue: Catalogue, bearer: Token, clickhouse_proxy: Proxy
) -> None:
    viewer = new_id()
    async with serving(msgspec.structs.replace(settings, snapshot_fresh_seconds=1)) as api:
        good = await page(api, bearer(viewer))
    slow = msgspec.structs.replace(
        settings,
        clickhouse_url=clickhouse_proxy.url,
        clickhouse_timeout_ms=TIMEOUT_MS,
        snapshot_fresh_seconds=1,
    )
    await asyncio.sleep(1.1)
    clickhouse_proxy.slow(30)
    async with serving(slow) as api:
        started = time.perf_counter()
        stale = await page(api, bearer(viewer))
        assert time.perf_counter() - started < TIMEOUT_MS / 1000 + 0.5
        assert stale["meta"]["degraded"] == "stale"
        assert stale["data"] == good["data"]


async def test_the_circuit_opens_and_closes_again(
    settings: Settings, catalogue: Catalogue, bearer: Token, clickhouse_proxy: Proxy
) -> None:
    line = msgspec.structs.replace(settings, clickhouse_url=clickhouse_proxy.url)
    headers = bearer(new_id())

    async def status() -> int:
        return (await api.get("/api/v1/reels", headers=headers)).status_code

    async with serving(line) as api:
        clickhouse_proxy.cut()
        for _ in range(CLICKHOUSE_FAILURES_TO_OPEN):
            assert await status() == 503

        # Open: ClickHouse is there again, and is left alone for a while.
        clickhouse_proxy.mend()
        assert await status() == 503
        await asyncio.sleep(CLICKHOUSE_OPEN_SECONDS + 0.1)
        assert await status() == 200


async def test_the_service_starts_while_every_store_is_down(
    settings: Settings, bearer: Token, clickhouse_proxy: Proxy, redis_proxy: Proxy
) -> None:
    clickhouse_proxy.cut()
    redis_proxy.cut()
    alone = msgspec.structs.replace(
        settings,
        clickhouse_url=clickhouse_proxy.url,
        redis_url=redis_proxy.url,
        postgres_url="postgresql://nobody@127.0.0.1:1/nova",
    )
    async with serving(alone) as api:
        assert (await api.get("/health/live")).json() == {"status": "ok"}
        assert (await api.get("/api/v1/reels", headers=bearer(1))).status_code == 503
        ready = await api.get("/health/ready")
        assert ready.status_code == 503
        assert ready.json()["failing"] == ["clickhouse", "postgres", "redis"]
        assert (await api.get("/health")).status_code == 503


async def test_a_crowd_is_turned_away_in_turn_and_opens_no_circuit(settings: Settings) -> None:
    """One place: who cannot have it in time is refused, although ClickHouse is well."""
    narrow = msgspec.structs.replace(
        settings, clickhouse_pool_max=1, clickhouse_wait_ms=200, clickhouse_timeout_ms=20_000
    )
    clickhouse = ClickHouse(narrow)
    try:
        await clickhouse.query("select 1", {})
        nap = asyncio.create_task(clickhouse.query("select sleep(2)", {}))
        await asyncio.sleep(0)
        crowd = [clickhouse.query("select 1", {}) for _ in range(2 * CLICKHOUSE_FAILURES_TO_OPEN)]
        outcomes = await asyncio.gather(*crowd, return_exceptions=True)
        assert not nap.done()
        assert all(isinstance(outcome, StoreUnavailableError) for outcome in outcomes)
        assert clickhouse.breaker.is_closed
        await nap
        assert (await clickhouse.query("select 42", {})).result_set == [[42]]
    finally:
        await clickhouse.close()


def failed_calls() -> float:
    """Calls to ClickHouse that were made and failed, by this process."""
    return REGISTRY.get_sample_value("nova_store_call_failures_total", {"store": "clickhouse"}) or 0


async def test_places_that_all_hang_open_the_circuit_in_one_round(
    settings: Settings, clickhouse_proxy: Proxy
) -> None:
    """Nobody who waits for a place becomes one more who hangs."""
    line = msgspec.structs.replace(
        settings, clickhouse_url=clickhouse_proxy.url, clickhouse_timeout_ms=2_000
    )
    clickhouse = ClickHouse(line)
    try:
        await clickhouse.query("select 1", {})
        clickhouse_proxy.slow(30)
        before = failed_calls()
        crowd = [clickhouse.query("select 1", {}) for _ in range(10 * line.clickhouse_pool_max)]
        outcomes = await asyncio.gather(*crowd, return_exceptions=True)
        assert all(isinstance(outcome, StoreUnavailableError) for outcome in outcomes)
        assert clickhouse.breaker.is_refusing
        assert failed_calls() - before == line.clickhouse_pool_max
    finally:
        await clickhouse.close()


async def test_a_statement_that_is_wrong_opens_no_circuit(settings: Settings) -> None:
    """One model that is broken does not take the others with it."""
    clickhouse = ClickHouse(settings)
    try:
        for _ in range(2 * CLICKHOUSE_FAILURES_TO_OPEN):
            with pytest.raises(StoreUnavailableError):
                await clickhouse.query("select nothing_like_this from nowhere", {})
        assert (await clickhouse.query("select 42", {})).result_set == [[42]]
    finally:
        await clickhouse.close()
