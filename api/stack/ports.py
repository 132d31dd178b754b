"""Loopback ports: which are free, which answer."""

from __future__ import annotations

import socket


def free_port() -> int:
    """Return a loopback TCP port that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_taken(port: int, host: str = "127.0.0.1") -> bool:
    """Say whether a server could not bind this port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return True
    return False


def preferred_port(port: int) -> int:
    """Return `port` when it is free, another free one when it is not."""
    return free_port() if is_taken(port) else port
