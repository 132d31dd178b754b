"""Rate limits: per viewer, for all workers together, and never because Redis is away."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest

from api.settings import Settings
from tests.api.conftest import Api, Catalogue, Token, new_id, serving
from tests.api.proxy import Proxy

LIMIT = 10


@pytest.fixture
def limited(settings: Settings) -> Settings:
    return msgspec.structs.replace(settings, rate_limit_per_minute=LIMIT)


@pytest.fixture
async def tight(limited: Settings, catalogue: Catalogue) -> AsyncIterator[Api]:
    async with serving(limited) as api:
        yield api


@pytest.mark.parametrize("path", ["/api/v1/reels?limit=1", "/api/v1/reels/trending"])
async def test_the_limit_is_told_and_kept(tight: Api, bearer: Token, path: str) -> None:
    """On a route that is charged within its own script, and on one that is not."""
    headers = bearer(new_id())
    for used in range(1, LIMIT + 1):
        response = await tight.get(path, headers=headers)
        assert response.status_code == 200
        assert response.headers["ratelimit-limit"] == str(LIMIT)
        assert response.headers["ratelimit-remaining"] == str(LIMIT - used)
        assert 0 < int(response.headers["ratelimit-reset"]) <= 60
        assert response.headers["ratelimit-policy"] == f"{LIMIT};w=60"
        assert "retry-after" not in response.headers

    refused = await tight.get(path, headers=headers)
    assert refused.status_code == 429
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["type"].endswith("/problems/too-many-requests")
    assert 0 < int(refused.headers["retry-after"]) <= 120
    assert refused.headers["ratelimit-remaining"] == "0"
    assert refused.headers["x-request-id"]
    assert (await tight.get(path, headers=bearer(new_id()))).status_code == 200


async def test_workers_count_together(
    limited: Settings, catalogue: Catalogue, bearer: Token
) -> None:
    headers = bearer(new_id())
    async with serving(limited) as one, serving(limited) as two:
        statuses = [
            (await api.get("/api/v1/reels?limit=1", headers=headers)).status_code
            for api in (one, two) * 6
        ]
    assert statuses == [200] * LIMIT + [429] * 2


async def test_bad_requests_count_too(tight: Api, bearer: Token) -> None:
    """Or cursors could be guessed without end."""
    headers = bearer(new_id())
    statuses = [
        (await tight.get("/api/v1/reels?cursor=guess", headers=headers)).status_code
        for _ in range(LIMIT + 2)
    ]
    assert statuses == [400] * LIMIT + [429] * 2


async def test_clients_without_a_token_are_limited_by_address(tight: Api) -> None:
    statuses = [(await tight.get("/api/v1/reels")).status_code for _ in range(LIMIT)]
    assert statuses == [401] * LIMIT
    refused = await tight.get("/api/v1/nothing/here")
    assert refused.status_code == 429
    assert refused.json()["status"] == 429


async def test_what_has_no_route_is_charged_to_the_viewer(tight: Api, bearer: Token) -> None:
    """Not to an address, which many viewers may share."""
    headers = bearer(new_id())
    for used in range(1, LIMIT + 1, 2):
        missing = await tight.get("/api/v1/nothing/here", headers=headers)
        wrong = await tight.put("/api/v1/reels", headers=headers)
        assert (missing.status_code, wrong.status_code) == (404, 405)
        assert wrong.headers["ratelimit-remaining"] == str(LIMIT - used - 1)
    assert (await tight.get("/api/v1/nothing/here", headers=headers)).status_code == 429
    assert (await tight.get("/api/v1/reels?limit=1", headers=headers)).status_code == 429
    assert (await tight.get("/api/v1/nothing/here")).status_code == 404


async def test_health_metrics_and_schema_are_free(tight: Api) -> None:
    for path in ("/health/live", "/api/v1/health", "/metrics", "/schema/openapi.json"):
        for _ in range(LIMIT + 2):
            response = await tight.get(path)
            assert response.status_code == 200
        assert "ratelimit-limit" not in response.headers


@pytest.mark.parametrize("path", ["/healthz", "/metricsx", "/schemaX", "/api/v1/healthy"])
async def test_what_only_begins_like_a_free_address_is_not(tight: Api, path: str) -> None:
    response = await tight.get(path)
    assert response.status_code == 404
    assert response.headers["ratelimit-limit"] == str(LIMIT)


async def test_without_redis_everything_passes(
    limited: Settings, catalogue: Catalogue, bearer: Token, redis_proxy: Proxy
) -> None:
    redis_proxy.cut()
    alone = msgspec.structs.replace(limited, redis_url=redis_proxy.url)
    headers = bearer(new_id())
    async with serving(alone) as api:
        for _ in range(LIMIT + 2):
            response = await api.get("/api/v1/reels/trending", headers=headers)
            assert response.status_code == 200
            assert "ratelimit-limit" not in response.headers


async def test_the_window_slides(settings: Settings) -> None:
    """The script alone, on a window of 200 ms: a full one lets nobody in at its very end."""
    import asyncio

    import redis.asyncio

    from api.limits import CHARGE_LUA

    client = redis.asyncio.Redis.from_url(settings.redis_url)
    charge = client.register_script(
        CHARGE_LUA + "\nreturn charge(KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]))"
    )

    async def allowed(window_ms: int) -> int:
        reply = await charge(keys=["limit:test"], args=[LIMIT, window_ms])
        return int(reply[0])  # type: ignore[index]

    assert [await allowed(2_000) for _ in range(LIMIT + 1)] == [1] * LIMIT + [0]
    await asyncio.sleep(2.1)
    # Ten in the window before still weigh almost everything.
    assert sum([await allowed(2_000) for _ in range(LIMIT)]) <= 2
    await asyncio.sleep(4.1)
    assert await allowed(2_000) == 1
    await client.aclose()
