"""A TCP line to a server that tests can cut, stall and mend."""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from urllib.parse import urlsplit


class Proxy:
    """Forwards a loopback port to a server; `url` is the server's address through it."""

    def __init__(self, url: str, port: int) -> None:
        parts = urlsplit(url)
        assert parts.port
        self._target = parts.hostname or "127.0.0.1", parts.port
        self._port = port
        self._delay_seconds = 0.0
        self._is_cut = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.requests = 0
        self.wanted = b""  # count only requests with this text in them
        user, at, _ = parts.netloc.rpartition("@")
        self.url = parts._replace(netloc=f"{user}{at}127.0.0.1:{port}").geturl()

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Close every connection, and each new one at once."""
        self._is_cut = True
        for writer in self._writers:
            writer.close()

    def slow(self, seconds: float) -> None:
        """Hold what clients send back for a while."""
        self._delay_seconds = seconds

    def mend(self) -> None:
        """Forward at once again."""
        self._is_cut = False
        self._delay_seconds = 0.0

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            writer.close()
            return
        to_reader, to_writer = await asyncio.open_connection(*self._target)
        self._writers |= {writer, to_writer}
        for source, sink, is_request in ((reader, to_writer, True), (to_reader, writer, False)):
            task = asyncio.create_task(self._pump(source, sink, is_request))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, is_request: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65_536):
                if is_request:
                    self.requests += self.wanted in data
                    if self._delay_seconds:
                        await asyncio.sleep(self._delay_seconds)
                sink.write(data)
                await sink.drain()
        sink.close()
        self._writers.discard(sink)
