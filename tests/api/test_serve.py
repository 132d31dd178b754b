"""The real server: two workers on one port, one log, metrics added up, a stop without losses."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest

from api.settings import Settings
from tests.api.conftest import Catalogue, Token, new_id
from tests.api.served import Served, serving_process


@pytest.fixture
def served(settings: Settings, catalogue: Catalogue, tmp_path: Path) -> Iterator[Served]:
    """Two workers, as the command line starts them."""
    real = msgspec.structs.replace(settings, workers=2, log_level="info")
    with serving_process(real, tmp_path / "stderr") as served:
        yield served


async def test_two_workers_are_one_service(served: Served, bearer: Token) -> None:
    headers = bearer(new_id()) | {"X-Request-Id": "r-1"}
    pages = []
    for _ in range(20):
        # A new connection for each request spreads them over both workers.
        async with httpx.AsyncClient(base_url=served.address, timeout=60) as api:
            pages.append((await api.get("/api/v1/reels?limit=7", headers=headers)).json()["data"])
            bad = await api.get("/api/v1/reels?cursor=secret", headers=headers)
            text = (await api.get("/metrics")).text
    assert all(data == pages[0] for data in pages)
    assert bad.status_code == 400
    counted = {
        status: sum(
            float(line.split()[-1])
            for line in text.splitlines()
            if line.startswith("nova_http_request_seconds_count{")
            and 'route="/api/v1/reels"' in line
            and f'status="{status}"' in line
        )
        for status in (200, 400)
    }
    assert counted == {200: 20, 400: 20}

    lines = [json.loads(line) for line in served.log.read_text().splitlines()]
    requests = [line for line in lines if line["event"] == "request"]
    assert len(requests) == 40
    first, refused = requests[:2]
    assert (first["level"], first["request_id"], first["method"]) == ("info", "r-1", "GET")
    assert (first["path"], first["status"]) == ("/api/v1/reels", 200)
    assert headers["Authorization"].split()[1] not in served.log.read_text()
    assert isinstance(first["viewer"], str)
    assert (first["cache_hit"], first["rows"], first["degraded"]) == (False, 7, "none")
    assert requests[2]["cache_hit"]
    assert first["ms"] > 0
    assert first["timestamp"].endswith("Z")
    assert refused["status"] == 400
    # Cursors are nobody's business.
    assert "secret" not in served.log.read_text()


async def test_requests_in_flight_are_answered_before_it_stops(
    served: Served, bearer: Token
) -> None:
    async with httpx.AsyncClient(base_url=served.address, timeout=60) as api:
        # Three lines that the service has accepted: what a client sends on one it has not may go
        # unread when it stops.
        first = await asyncio.gather(
            *(api.get("/api/v1/reels", headers=bearer(new_id())) for _ in range(3))
        )
        assert [answer.status_code for answer in first] == [200] * 3
        flying = [
            asyncio.create_task(api.get("/api/v1/reels", headers=bearer(new_id())))
            for _ in range(3)
        ]
        await asyncio.sleep(0.05)
        served.process.send_signal(signal.SIGTERM)
        answers = await asyncio.gather(*flying)
    assert [answer.status_code for answer in answers] == [200] * 3
    assert await asyncio.to_thread(served.process.wait, 30) == 0
    async with httpx.AsyncClient(base_url=served.address) as api:
        with pytest.raises(httpx.TransportError):
            await api.get("/health/live")
