"""Embedded ClickHouse: the in-process engine behind its own HTTP protocol, in one child process."""

from __future__ import annotations

import http.client
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from api.stack.process import ManagedProcess


class ClickHouseServer(ManagedProcess):
    """`python -m clickhouse.embedded` on a data directory; user `default`."""

    name = "clickhouse"
    start_seconds = 90.0
    stop_seconds = 60.0

    def __init__(self, data_dir: Path, port: int, password: str = "") -> None:
        super().__init__(data_dir)
        self.port = port
        self.password = password

    @property
    def url(self) -> str:
        """Address with the user and, if there is one, the password."""
        login = f"default:{quote(self.password, safe='')}" if self.password else "default"
        return f"http://{login}@127.0.0.1:{self.port}/"

    def environment(self) -> Mapping[str, str]:
        """Hand the password over where `ps` does not show it."""
        return {"NOVA_EMBEDDED_CLICKHOUSE_PASSWORD": self.password}

    def command(self) -> Sequence[str]:
        """Return the server's command line."""
        return [
            sys.executable,
            "-m",
            "clickhouse.embedded",
            "--data-dir",
            str(self.data_dir / "engine"),
            "--host",
            "127.0.0.1",
            "--port",
            str(self.port),
        ]

    def answers(self) -> bool:
        """Say whether `/ping` answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=1)
        try:
            connection.request("GET", "/ping")
            return connection.getresponse().status == http.HTTPStatus.OK
        except OSError:
            return False
        finally:
            connection.close()
