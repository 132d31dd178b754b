"""The bare handler that hits are measured against, served on a port of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import redis

from api.serve import environment_of
from api.settings import Settings
from api.stack.ports import free_port
from bench.measure import Client
from bench.place import environment
from bench.reference_app import PAGE_KEY
from bench.results import ROOT

START_SECONDS = 30.0
STOP_SECONDS = 15.0
PAGE_SECONDS = 20.0


@contextlib.contextmanager
def serving_reference(settings: Settings, path: str, token: str) -> Iterator[str]:
    """Serve a page of the API from one value of Redis; yields the address."""
    page = page_of(settings, path, token)
    with redis.Redis.from_url(settings.redis_url) as client:
        client.set(PAGE_KEY, page)
    port = free_port()
    child = subprocess.Popen(
        [sys.executable, "-m", "bench.reference_app"],
        cwd=ROOT,
        env={**environment(), **environment_of(settings), "NOVA_PORT": str(port)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        base_url = f"http://127.0.0.1:{port}"
        wait_until_served(base_url)
        yield base_url
    finally:
        child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(STOP_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)


def page_of(settings: Settings, path: str, token: str) -> bytes:
    """Return a page of the API; raises `RuntimeError` when it does not come in time."""
    client = Client(settings.public_base_url)
    deadline = time.monotonic() + PAGE_SECONDS
    while True:
        status, page = client.get(path, token)
        if status == 200:
            return page
        if time.monotonic() > deadline:
            raise RuntimeError(f"{path} was answered {status}")
        time.sleep(1.0)


def wait_until_served(base_url: str) -> None:
    """Return when somebody answers; raises `TimeoutError`."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            Client(base_url).get("/", "")
            return
        time.sleep(0.1)
    raise TimeoutError(f"the bare handler did not start in {START_SECONDS:.0f} s")
