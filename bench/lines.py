"""One keep-alive HTTP/1.1 connection, as cheap as a client in Python gets: httptools on uvloop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import cast
from urllib.parse import urlsplit

import httptools

# What stands for a status where there was none.
TIMED_OUT = -1
NOT_ANSWERED = 0

# Called with the status and the body of an answer, or with one of the two above.
Answered = Callable[[int, bytes], None]


class Line(asyncio.Protocol):
    """A connection that carries one request at a time; opened again by whoever finds it closed."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._body: list[bytes] = []
        self._answered: Answered | None = None

    @property
    def is_open(self) -> bool:
        """Say whether a request can be sent."""
        return self._transport is not None and not self._transport.is_closing()

    def send(self, request: bytes, answered: Answered) -> None:
        """Send a whole request; `answered` is called once, whatever happens."""
        assert self._transport is not None
        self._answered = answered
        self._transport.write(request)

    def give_up(self) -> None:
        """Stop waiting: what comes later on this connection is nobody's answer."""
        self._finish(TIMED_OUT)
        self.close()

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.abort()

    def _finish(self, status: int) -> None:
        answered, self._answered = self._answered, None
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._body.clear()
        if answered is not None:
            answered(status, body)

    # ---------- asyncio calls these

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Read a piece of an answer."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.close()
            self._finish(NOT_ANSWERED)

    def connection_lost(self, _: Exception | None) -> None:
        """Tell whoever waits that nothing comes any more."""
        self._finish(NOT_ANSWERED)

    # ---------- httptools calls these

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Hand over the answer; the next request may be sent from within."""
        if not self._parser.should_keep_alive():
            self.close()
        self._finish(self._parser.get_status_code())


class Server:
    """Where to, and how a request to it begins."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._address = parts.hostname or "127.0.0.1", parts.port or 80
        self._path = parts.path + (f"?{parts.query}" if parts.query else "")
        self._host = parts.netloc

    async def connect(self, timeout_seconds: float) -> Line | None:
        """Open a connection; None when that fails."""
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                loop = asyncio.get_running_loop()
                _, line = await loop.create_connection(Line, *self._address)
                return line
        return None

    def request(self, method: str, path: str, token: str, body: bytes) -> bytes:
        """Return a request as it goes over the line; without a path it is the address'."""
        head = f"{method} {path or self._path} HTTP/1.1\r\nHost: {self._host}\r\n"
        if token:
            head += f"Authorization: Bearer {token}\r\n"
        if body or method != "GET":
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        return head.encode() + b"\r\n" + body
