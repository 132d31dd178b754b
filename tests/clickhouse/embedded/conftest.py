"""A server of its own kind for these tests: bare, and startable with any option."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from shutil import rmtree
from typing import NamedTuple
from urllib.parse import urlencode

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client

ROOT = Path(__file__).parents[3]


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def code(self) -> int:
        """ClickHouse's exception code; 0 without one."""
        return int(self.headers.get("x-clickhouse-exception-code", "0"))


class EmbeddedServer:
    """`python -m clickhouse.embedded` as a child process."""

    def __init__(self, data_dir: Path, *options: str, password: str = "") -> None:
        self.data_dir = data_dir
        self.options = options
        self.password = password
        self.port = 0
        self.process: subprocess.Popen[str] | None = None

    def spawn(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [
                *(sys.executable, "-m", "clickhouse.embedded"),
                *("--data-dir", str(self.data_dir), "--port", str(self.port)),
                *self.options,
            ],
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "NOVA_EMBEDDED_CLICKHOUSE_PASSWORD": self.password},
        )

    def start(self) -> EmbeddedServer:
        self.process = self.spawn()
        assert self.process.stderr is not None
        line = self.process.stderr.readline()
        assert "listens on" in line, line + self.process.stderr.read()
        self.port = int(line.split("http://")[1].split("/")[0].rsplit(":", 1)[1])
        return self

    def stop(self, signum: int = signal.SIGTERM) -> tuple[int, str]:
        """Exit status and what was written to stderr after the start."""
        assert self.process is not None
        self.process.send_signal(signum)
        _, errors = self.process.communicate(timeout=30)
        return self.process.returncode, errors

    def kill(self) -> None:
        self.stop(signal.SIGKILL)

    def resident_bytes(self) -> int:
        assert self.process is not None
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def connect(self, timeout: float = 30) -> HTTPConnection:
        return HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def ask(
        self,
        sql: str | bytes = b"",
        *,
        method: str = "POST",
        path: str = "/",
        headers: dict[str, str] | None = None,
        **parameters: str | int,
    ) -> Answer:
        """One request on a connection of its own; parameters go into the URL."""
        connection = self.connect()
        try:
            target = f"{path}?{urlencode(parameters)}" if parameters else path
            body = sql.encode() if isinstance(sql, str) else sql
            connection.request(method, target, body=body or None, headers=headers or {})
            response = connection.getresponse()
            names = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, names, response.read())
        finally:
            connection.close()

    def client(self, **options: object) -> Client:
        return clickhouse_connect.get_client(
            host="127.0.0.1", port=self.port, password=self.password, **options
        )

    def raw_socket(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)


MakeServer = Callable[..., EmbeddedServer]


@pytest.fixture(scope="session")
def embedded_root() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="nova-embedded-"))
    yield path
    rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def server(embedded_root: Path) -> Iterator[EmbeddedServer]:
    """The server most tests share; every test makes tables under names of its own."""
    shared = EmbeddedServer(embedded_root / "shared").start()
    yield shared
    status, errors = shared.stop()
    assert (status, errors) == (0, "")


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[MakeServer]:
    """Servers of the test's own, with options; stopped at the end."""
    made: list[EmbeddedServer] = []

    def make(*options: str, password: str = "", name: str = "data") -> EmbeddedServer:
        made.append(EmbeddedServer(tmp_path / name, *options, password=password))
        return made[-1].start()

    yield make
    for one in made:
        if one.process is not None and one.process.poll() is None:
            one.kill()


@pytest.fixture
def table(server: EmbeddedServer, request: pytest.FixtureRequest) -> str:
    """A fresh MergeTree table `(id UInt64, name String)` named after the test."""
    name = "".join(c if c.isalnum() else "_" for c in request.node.name)
    server.ask(f"drop table if exists {name}")
    made = server.ask(
        f"create table {name} (id UInt64, name String) engine = MergeTree order by id"
    )
    assert made.status == 200, made.text
    return name


def wait_for(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
