"""The load client tells what became of every request: answered, refused, too late, cut off."""

from __future__ import annotations

import asyncio
import io
import sys
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from bench.openloop import NOT_ANSWERED, TIMED_OUT, Outcomes, Plan, Request, run

ANSWERS = {
    "/hit": b"HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n" + b'{"cache_hit":true}',
    "/pieces": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "/events": b"HTTP/1.1 202 Accepted\r\nContent-Length: 26\r\n\r\n"
    + b'{"received":3,"deduped":1}',
    "/bye": b"HTTP/1.1 503 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
    "/cut": b"",
}


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer by the path; never one that is not known."""
    while head := await reader.readuntil(b"\r\n\r\n"):
        method, path, *_ = head.decode().split()
        if b"Content-Length" in head:
            length = int(head.partition(b"Content-Length: ")[2].partition(b"\r")[0])
            assert await reader.readexactly(length) == b'{"is":"sent"}'
            assert b"Bearer token" in head
        assert method == ("POST" if b"Content-Length" in head else "GET")
        if path == "/cut":
            writer.close()
            return
        if path in ANSWERS:
            writer.write(ANSWERS[path])


@pytest.fixture
async def url(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """A server that knows some answers; the client is told to begin at once."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n"))
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def plan_of(url: str, paths: list[str], **given: Any) -> Plan:
    requests = [
        Request(number / 1000, "", b"", "GET", path)
        if path != "/events"
        else Request(number / 1000, "token", b'{"is":"sent"}', path=path)
        for number, path in enumerate(paths)
    ]
    made = {"in_flight_max": 4, "timeout_seconds": 0.5, "requests": requests, **given}
    # As it reaches the process.
    return msgspec.msgpack.decode(
        msgspec.msgpack.encode(Plan(url=f"{url}/hit", warm_up_url=f"{url}/hit", **made)), type=Plan
    )


async def test_every_request_has_its_outcome(url: str) -> None:
    paths = [*ANSWERS, "/never", *ANSWERS] * 3
    found: Outcomes = await run(plan_of(url, paths))
    assert [outcome.request for outcome in found.outcomes] == list(range(len(paths)))
    statuses = dict(zip(ANSWERS, (200, 200, 202, 503, NOT_ANSWERED), strict=True))
    for path, outcome in zip(paths, found.outcomes, strict=True):
        assert outcome.status == statuses.get(path, TIMED_OUT), path
        assert outcome.is_hit == (path == "/hit")
        assert (outcome.received, outcome.deduped) == ((3, 1) if path == "/events" else (0, 0))
        assert outcome.latency_ms >= outcome.late_ms >= 0
        if path == "/never":
            assert outcome.latency_ms >= 500


async def test_a_closed_loop_goes_through_its_requests_again_and_again(url: str) -> None:
    found = await run(plan_of(url, ["/hit", "/events"], clients=3, seconds=0.3))
    assert len(found.outcomes) > 6
    assert {outcome.status for outcome in found.outcomes} == {200, 202}
    sent = [outcome.request for outcome in found.outcomes]
    assert abs(sent.count(0) - sent.count(1)) <= 3
    assert found.seconds >= 0.3
