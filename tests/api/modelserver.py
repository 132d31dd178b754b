"""A TensorFlow Serving on a real socket: embeds by arithmetic, and breaks in every way asked."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import Callable, Mapping
from typing import Any

from api.stack.ports import free_port

Instance = Mapping[str, Any]
Fault = Callable[["FakeModelServer", list[Instance]], bytes]


def embedding_of(instance: Instance, dimensions: int) -> list[float]:
    """A vector that depends on the title alone, so that a test knows what must be stored."""
    seed = zlib.crc32(instance["title"].encode())
    return [((seed >> (place % 24)) % 97 + 1) / 97 for place in range(dimensions)]


def reply(status: str, body: bytes, length: int | None = None) -> bytes:
    """An HTTP answer; `length` may lie about the body."""
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body) if length is None else length}\r\n\r\n"
    )
    return head.encode() + body


def predictions(vectors: Any) -> bytes:
    """An answer of TensorFlow Serving's, which writes NaN as such."""
    return reply("200 OK", json.dumps({"predictions": vectors}).encode())


class FakeModelServer:
    """Answers `POST /v1/models/{model}:predict`; `fault` says how wrongly."""

    def __init__(self, dimensions: int) -> None:
        self.dimensions = dimensions
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.fault: Fault | None = None
        self.delay_seconds = 0.0
        self.paths: list[str] = []
        self.batches: list[list[Instance]] = []
        self._server: asyncio.Server | None = None
        self._lines: set[asyncio.Task[None]] = set()

    @property
    def titles(self) -> list[str]:
        """Every title that was asked for, in order."""
        return [instance["title"] for batch in self.batches for instance in batch]

    def vectors(self, instances: list[Instance]) -> list[list[float]]:
        """What a healthy server says."""
        return [embedding_of(instance, self.dimensions) for instance in instances]

    async def __aenter__(self) -> FakeModelServer:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._line, "127.0.0.1", self.port)

    async def stop(self) -> None:
        """Be away: nobody listens, and open lines end."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for line in self._lines:
            line.cancel()
        await asyncio.gather(*self._lines, return_exceptions=True)

    async def _line(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._lines.add(task)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = next(
                    int(line.partition(":")[2])
                    for line in head.split("\r\n")
                    if line.lower().startswith("content-length:")
                )
                self.paths.append(head.split(" ", 2)[1])
                instances = json.loads(await reader.readexactly(length))["instances"]
                self.batches.append(instances)
                await asyncio.sleep(self.delay_seconds)
                answer = self.fault or (lambda server, batch: predictions(server.vectors(batch)))
                writer.write(answer(self, instances))
                await writer.drain()
                if self.fault is not None:
                    return  # who is ill keeps no line
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            self._lines.discard(task)
            writer.close()


# ---------- faults


def garbage(_: FakeModelServer, __: list[Instance]) -> bytes:
    return reply("200 OK", b"<html>\xff\xfe this is not a model")


def no_http(_: FakeModelServer, __: list[Instance]) -> bytes:
    return b"\x16\x03\x01 hello\r\n\r\n"


def internal_error(_: FakeModelServer, __: list[Instance]) -> bytes:
    return reply("500 Internal Server Error", b'{"error": "out of memory"}')


def unknown_model(_: FakeModelServer, __: list[Instance]) -> bytes:
    return reply("404 Not Found", b'{"error": "Servable not found"}')


def half_a_document(server: FakeModelServer, batch: list[Instance]) -> bytes:
    whole = json.dumps({"predictions": server.vectors(batch)}).encode()
    return reply("200 OK", whole[: len(whole) // 2])


def half_an_answer(server: FakeModelServer, batch: list[Instance]) -> bytes:
    whole = json.dumps({"predictions": server.vectors(batch)}).encode()
    return reply("200 OK", whole[: len(whole) // 2], length=len(whole))


def another_shape(_: FakeModelServer, batch: list[Instance]) -> bytes:
    return predictions([{"score": 0.5} for _ in batch])


def words(server: FakeModelServer, batch: list[Instance]) -> bytes:
    return predictions([["a"] * server.dimensions for _ in batch])


def too_few(server: FakeModelServer, batch: list[Instance]) -> bytes:
    return predictions(server.vectors(batch)[:-1])


def wrong_dimensions(server: FakeModelServer, batch: list[Instance]) -> bytes:
    return predictions([vector[:-1] for vector in server.vectors(batch)])


def not_a_number(server: FakeModelServer, batch: list[Instance]) -> bytes:
    return predictions([[float("nan"), *vector[1:]] for vector in server.vectors(batch)])


def beyond_float32(server: FakeModelServer, batch: list[Instance]) -> bytes:
    return predictions([[1e300, *vector[1:]] for vector in server.vectors(batch)])


def all_zero(server: FakeModelServer, batch: list[Instance]) -> bytes:
    return predictions([[0.0] * server.dimensions for _ in batch])


def endless(_: FakeModelServer, __: list[Instance]) -> bytes:
    return reply("200 OK", b" " * 9_000_000)
