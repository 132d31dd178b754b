"""
HTTP/1.1 over one blocking socket: requests in (httptools parses), responses out.

A thread per connection, blocking: the statement itself blocks its thread anyway, a body is read
no faster than the engine takes it, and a result is made no faster than the client reads it. A
request needs no hand-over between threads, which costs more than all the parsing.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

import httptools

_READ_BYTES = 256 * 1024
# What is left of a body nobody wanted is read up to this: a client that still writes when the
# connection closes loses the answer that says why (bytes).
_DRAIN_BYTES = 1 << 30
_MAX_HEADER_BYTES = 1 << 20
_REASONS = {status.value: status.phrase for status in HTTPStatus}


class ClientGoneError(Exception):
    """The client closed the connection, or stopped reading or writing for too long."""


class BadRequestError(Exception):
    """What came is not HTTP."""


class Request:
    """The head of a request; the body is read from the connection."""

    __slots__ = ("has_body", "headers", "keep_alive", "method", "path", "query_string")

    def __init__(
        self, method: str, target: bytes, headers: Mapping[str, str], *, keep_alive: bool
    ) -> None:
        path, _, query_string = target.partition(b"?")
        self.method = method
        self.path = path.decode("latin-1")
        self.query_string = query_string.decode("latin-1")
        self.headers = headers
        self.keep_alive = keep_alive
        self.has_body = "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


class _Events:
    """httptools' callbacks, kept in order until they are asked for."""

    def __init__(self) -> None:
        self.queue: deque[tuple[str, Any]] = deque()
        self._target = b""
        self._headers: dict[str, str] = {}
        self._header_bytes = 0
        self.parser = httptools.HttpRequestParser(self)

    def on_message_begin(self) -> None:
        self._target = b""
        self._headers = {}
        self._header_bytes = 0

    def on_url(self, url: bytes) -> None:
        self._target += url
        self._limit(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")
        self._limit(len(name) + len(value))

    def on_headers_complete(self) -> None:
        request = Request(
            self.parser.get_method().decode("latin-1"),
            self._target,
            self._headers,
            keep_alive=self.parser.should_keep_alive(),
        )
        self.queue.append(("request", request))

    def on_body(self, body: bytes) -> None:
        self.queue.append(("body", body))

    def on_message_complete(self) -> None:
        self.queue.append(("end", None))

    def _limit(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > _MAX_HEADER_BYTES:
            raise BadRequestError


class HttpConnection:
    """One client connection."""

    def __init__(self, sock: socket.socket, *, idle_seconds: float, io_seconds: float) -> None:
        self.sock = sock
        self._idle_seconds = idle_seconds
        self._io_seconds = io_seconds
        self._events = _Events()
        self._body_open = False
        self._expects_continue = False
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def read_request(self) -> Request | None:
        """The next request's head, or None when the client is done."""
        self.sock.settimeout(self._idle_seconds)
        while not self._events.queue:
            data = self._receive()
            if not data:
                return None
            self._feed(data)
        kind, request = self._events.queue.popleft()
        if kind != "request":
            raise BadRequestError
        self.sock.settimeout(self._io_seconds)
        self._body_open = True
        self._expects_continue = request.headers.get("expect", "").lower() == "100-continue"
        assert isinstance(request, Request)
        return request

    def body(self) -> Iterator[bytes]:
        """The request's body as it arrives."""
        while self._body_open:
            while not self._events.queue:
                if self._expects_continue:
                    self._expects_continue = False
                    self.send(b"HTTP/1.1 100 Continue\r\n\r\n")
                data = self._receive()
                if not data:
                    raise ClientGoneError
                self._feed(data)
            kind, value = self._events.queue.popleft()
            if kind == "end":
                self._body_open = False
                return
            yield value

    def drain_body(self) -> bool:
        """Read what is left of the body; False if that is too much to keep the connection for."""
        if self._expects_continue and self._body_open:
            return False
        size = 0
        for piece in self.body():
            size += len(piece)
            if size > _DRAIN_BYTES:
                return False
        return True

    def send(self, data: bytes | memoryview) -> None:
        """Send all of it, however slowly the client reads (up to the timeout)."""
        try:
            self.sock.sendall(data)
        except OSError as exc:
            raise ClientGoneError from exc

    def _receive(self) -> bytes:
        try:
            return self.sock.recv(_READ_BYTES)
        except OSError as exc:
            raise ClientGoneError from exc

    def _feed(self, data: bytes) -> None:
        try:
            self._events.parser.feed_data(data)
        except httptools.HttpParserUpgrade as exc:
            raise BadRequestError from exc
        except httptools.HttpParserError as exc:
            raise BadRequestError from exc


def response_head(status: int, headers: Mapping[str, str]) -> bytes:
    """The bytes of a status line and headers."""
    lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Unknown')}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")


def chunk(data: bytes) -> bytes:
    """One piece of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


LAST_CHUNK = b"0\r\n\r\n"
