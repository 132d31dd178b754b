"""Latencies from closed-loop clients, and what machine they were taken on."""

from __future__ import annotations

import http.client
import json
import os
import platform
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import psutil
from msgspec import Struct

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results"

REQUEST_SECONDS = 30.0


class Figure(Struct):
    """One measured thing: latencies in milliseconds, and how many per second."""

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
    cuts = statistics.quantiles(latencies, n=100, method="inclusive")
    return Figure(
        name=name,
        what=what,
        requests=len(latencies),
        errors=errors,
        seconds=round(seconds, 2),
        per_second=round(len(latencies) / seconds, 1),
        p50_ms=round(cuts[49], 2),
        p95_ms=round(cuts[94], 2),
        p99_ms=round(cuts[98], 2),
        clients=clients,
    )


def circumstances() -> dict[str, object]:
    """Return machine, versions and commit, without which a figure says nothing."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit.stdout.strip(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {
            name: version(name)
            for name in ("chdb", "litestar", "granian", "redis", "psycopg", "aiohttp")
        },
        "load_average": [round(value, 2) for value in os.getloadavg()],
    }


def keep(name: str, found: Mapping[str, object]) -> Path:
    """Write what one run found with its circumstances; returns the file."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{name}.json"
    body = {**circumstances(), **msgspec.to_builtins(found)}
    path.write_text(json.dumps(body, indent=2) + "\n")
    return path
