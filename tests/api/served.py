"""The service in a process of its own, on a port, as the command line serves it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import msgspec

from api.settings import Settings
from api.stack.ports import free_port
from tests.conftest import child_environment

ROOT = Path(__file__).parents[2]
SCRIPT = """
import sys
from api.serve import serve
from api.settings import Settings
serve(Settings.from_environ(), sys.argv[1])
"""


class Served(NamedTuple):
    """A running server."""

    address: str
    process: subprocess.Popen[bytes]
    log: Path


@contextmanager
def serving_process(
    settings: Settings, log: Path, app: str = "api.app:create_app"
) -> Iterator[Served]:
    """Serve on a free port until the block ends; what it says goes to `log`."""
    settings = msgspec.structs.replace(settings, port=free_port())
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, app],
            cwd=ROOT,
            env=child_environment(settings),
            stderr=stderr,
        )
    address = f"http://127.0.0.1:{settings.port}"
    try:
        deadline = time.monotonic() + 60
        while not answers(address):
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield Served(address, process, log)
    finally:
        # Asked first: workers of a killed parent live on.
        process.terminate()
        try:
            process.wait(30)
        finally:
            process.kill()


def answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/health/live", timeout=60).status_code == 200
    except httpx.TransportError:
        return False
