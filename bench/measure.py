"""Latencies: of work done one after the other, and of outcomes a load client noted."""

from __future__ import annotations

import http.client
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from typing import Literal
from urllib.parse import urlsplit

from msgspec import Struct

REQUEST_SECONDS = 30.0

Loop = Literal["closed", "open"]


class Figure(Struct):
    """
    One stretch of requests: latencies in milliseconds, and how many per second.

    In an open loop requests are sent at given times, and latency counts from there; `clients` is
    then the most in flight. `hits` are pages that came from a snapshot (count).
    """

    name: str
    what: str
    requests: int
    errors: int
    seconds: float
    per_second: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    clients: int
    max_ms: float = 0.0
    loop: Loop = "closed"
    asked_per_second: float | None = None
    late_p99_ms: float = 0.0
    hits: int = 0
    answers: dict[str, int] = {}


def percentiles(latencies_ms: Sequence[float]) -> tuple[float, float, float]:
    """Return the 50th, 95th and 99th; the one value, or zeros, where there are too few."""
    if len(latencies_ms) < 2:
        only = latencies_ms[0] if latencies_ms else 0.0
        return only, only, only
    cuts = statistics.quantiles(latencies_ms, n=100, method="inclusive")
    return cuts[49], cuts[94], cuts[98]


def figure(
    name: str,
    what: str,
    latencies_ms: Sequence[float],
    *,
    seconds: float,
    clients: int,
    errors: int = 0,
) -> Figure:
    """Sum up latencies."""
    p50, p95, p99 = percentiles(latencies_ms)
    return Figure(
        name=name,
        what=what,
        requests=len(latencies_ms),
        errors=errors,
        seconds=round(seconds, 2),
        per_second=round(len(latencies_ms) / seconds, 1) if seconds else 0.0,
        p50_ms=round(p50, 2),
        p95_ms=round(p95, 2),
        p99_ms=round(p99, 2),
        max_ms=round(max(latencies_ms, default=0.0), 2),
        clients=clients,
    )


class Client:
    """One keep-alive HTTP connection."""

    def __init__(self, base_url: str) -> None:
        self._url = urlsplit(base_url)
        self._connection = self._connect()

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(
            self._url.hostname or "127.0.0.1", self._url.port, timeout=REQUEST_SECONDS
        )

    def get(self, path: str, token: str) -> tuple[int, bytes]:
        """Return status and body."""
        return self.request("GET", path, token)

    def request(self, method: str, path: str, token: str, body: bytes = b"") -> tuple[int, bytes]:
        """Ask; a connection the server closed while idle is opened again."""
        try:
            return self._request(method, path, token, body)
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            self._connection.close()
            return self._request(method, path, token, body)

    def _request(self, method: str, path: str, token: str, body: bytes) -> tuple[int, bytes]:
        headers = {"Authorization": f"Bearer {token}"}
        if body:
            headers["Content-Type"] = "application/json"
        self._connection.request(method, path, body or None, headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read()


def closed_loop(name: str, what: str, work: Sequence[Callable[[], bool]], clients: int) -> Figure:
    """
    Run every piece of work once, split over `clients` threads, and time each.

    A piece returns whether it went well; each thread waits for one before it begins the next, so
    the latency is what a caller sees at this concurrency, not under a fixed arrival rate.
    """
    latencies: list[float] = []
    errors = 0
    guard = threading.Lock()

    def run(pieces: Sequence[Callable[[], bool]]) -> None:
        nonlocal errors
        mine: list[float] = []
        failed = 0
        for piece in pieces:
            began = time.perf_counter()
            failed += not piece()
            mine.append((time.perf_counter() - began) * 1000)
        with guard:
            latencies.extend(mine)
            errors += failed

    threads = [threading.Thread(target=run, args=(work[i::clients],)) for i in range(clients)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - began
    return figure(name, what, latencies, seconds=seconds, clients=clients, errors=errors)
