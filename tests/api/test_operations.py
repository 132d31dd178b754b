"""Health, metrics, and HEAD for all of it."""

from __future__ import annotations

import re

import msgspec
import pytest
from litestar import get, put

from api.app import create_app
from api.settings import Settings
from tests.api.conftest import Api, Token, new_id, page, serving
from tests.api.proxy import Proxy


@pytest.mark.parametrize("prefix", ["", "/api/v1"])
async def test_health(api: Api, prefix: str) -> None:
    everything_up = {
        "status": "ok",
        "stores": {"postgres": "up", "clickhouse": "up", "redis": "up"},
        "failing": [],
    }
    for path in ("/health", "/health/ready"):
        response = await api.get(prefix + path)
        assert (response.status_code, response.json()) == (200, everything_up)
    live = await api.get(f"{prefix}/health/live")
    assert (live.status_code, live.json()) == (200, {"status": "ok"})


async def test_a_missing_store_is_named_not_described(
    settings: Settings, redis_proxy: Proxy
) -> None:
    redis_proxy.cut()
    async with serving(msgspec.structs.replace(settings, redis_url=redis_proxy.url)) as api:
        ready = await api.get("/health/ready")
        health = await api.get("/health")
        live = await api.get("/health/live")
        metrics = await api.get("/metrics")
    assert metrics.status_code == 200
    assert (ready.status_code, ready.json()["failing"]) == (503, ["redis"])
    assert (health.status_code, health.json()["status"]) == (200, "degraded")
    assert live.status_code == 200
    assert "127.0.0.1" not in ready.text


async def test_metrics(api: Api, bearer: Token) -> None:
    headers = bearer(new_id())
    await page(api, headers)
    await page(api, headers)
    await api.get("/api/v1/no/such/page/7", headers=headers)
    text = (await api.get("/metrics")).text
    assert re.search(r'nova_http_request_seconds_count\{.*route="/api/v1/reels".*\} [1-9]', text)
    assert 'route="unmatched"' in text
    assert "no/such/page" not in text
    for is_hit in ("true", "false"):
        assert f'nova_feed_pages_total{{cache_hit="{is_hit}",degraded="none",' in text
    assert 'nova_store_call_seconds_count{store="redis"}' in text


async def test_invented_methods_are_one_series(api: Api) -> None:
    for number in range(3):
        assert (await api.request(f"BREW{number}", "/health/live")).status_code == 405
    text = (await api.get("/metrics")).text
    assert "BREW" not in text
    assert re.search(r'nova_http_request_seconds_count\{method="other",.*status="405"\} ', text)


@pytest.mark.parametrize("path", ["/health", "/api/v1/health/live", "/api/v1/reels?limit=3"])
async def test_head_is_get_without_a_body(api: Api, bearer: Token, path: str) -> None:
    headers = bearer(new_id())
    head, got = await api.head(path, headers=headers), await api.get(path, headers=headers)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-type", "ratelimit-limit", "cache-control"):
        assert head.headers.get(name) == got.headers.get(name)
    assert int(head.headers["content-length"]) > 0
    assert 'method="HEAD"' in (await api.get("/metrics")).text


async def test_head_of_what_has_no_get(api: Api, bearer: Token) -> None:
    assert (await api.head("/api/v1/nothing", headers=bearer(new_id()))).status_code == 404


async def test_options_names_every_method_of_an_address(settings: Settings) -> None:
    @get("/api/v1/several")
    async def read() -> None: ...

    @put("/api/v1/several")
    async def write() -> None: ...

    app = create_app(settings)
    for handler in (read, write):
        app.register(handler)
    async with serving(settings, app) as api:
        asked = await api.options("/api/v1/several")
        assert (asked.status_code, asked.headers["allow"]) == (204, "GET, HEAD, OPTIONS, PUT")
        assert (await api.options("/api/v1/nothing")).status_code == 404
