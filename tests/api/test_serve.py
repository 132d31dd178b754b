"""The real server: two workers on one port, one log, metrics added up, a stop without losses."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import msgspec
import pytest

from api.settings import Settings
from api.stack.ports import free_port
from tests.api.conftest import Catalogue, Token, new_id
from tests.conftest import child_environment

ROOT = Path(__file__).parent.parent.parent
SCRIPT = """
from api.serve import serve
from api.settings import Settings
serve(Settings.from_environ())
"""


class Served(NamedTuple):
    """A running server."""

    address: str
    process: subprocess.Popen[bytes]
    log: Path


@pytest.fixture
def served(settings: Settings, catalogue: Catalogue, tmp_path: Path) -> Iterator[Served]:
    """Two workers, as the command line starts them."""
    real = msgspec.structs.replace(settings, workers=2, port=free_port(), log_level="info")
    log = tmp_path / "stderr"
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT],
            cwd=ROOT,
            env=child_environment(real),
            stderr=stderr,
        )
    address = f"http://127.0.0.1:{real.port}"
    try:
        deadline = time.monotonic() + 60
        while not answers(address):
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield Served(address, process, log)
    finally:
        process.kill()
        process.wait()


def answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/health/live", timeout=60).status_code == 200
    except httpx.TransportError:
        return False


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
        first = await api.get("/api/v1/reels", headers=bearer(new_id()))
        assert first.status_code == 200
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
