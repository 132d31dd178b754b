"""A response of a known or unknown length, compressed if the client wants it."""

from __future__ import annotations

import secrets
import string
import tempfile
from collections.abc import Mapping

from clickhouse.embedded import compression, protocol
from clickhouse.embedded.protocol import HttpConnection

# Results up to this are held back, so that an error in them still becomes a proper status and the
# response has a length (bytes; the server's http_response_buffer_size is of that order).
HOLD_BACK_BYTES = 1 << 20
# With wait_end_of_query the whole result is held back: in memory up to this, then on disk (bytes).
_SPOOL_BYTES = 32 << 20
_CHUNK_BYTES = 1 << 18
_TAG_LETTERS = string.ascii_lowercase


class ResultWriter:
    """
    Sends a result as it is made.

    Nothing is sent before `HOLD_BACK_BYTES` are there (or all, with `hold_back_all`); after that
    the body is chunked. An error after that cannot change the status any more: the message is
    appended between two tags the client knows from a header, and the body is left unfinished, so
    that no client takes half a result for a whole one.
    """

    def __init__(
        self,
        connection: HttpConnection,
        headers: dict[str, str],
        *,
        head_only: bool,
    ) -> None:
        self._connection = connection
        self._headers = headers
        self._encoding: str | None = None
        self._level = 3
        self._encoder: compression.Encoder | None = None
        self.hold_back_all = False
        self._head_only = head_only
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._spool: tempfile.SpooledTemporaryFile[bytes] | None = None
        self._tag = ""
        self.started = False
        self.result_bytes = 0

    def compress(self, encoding: str | None, level: int) -> None:
        """Compress what is sent from now on; None for not at all."""
        self._encoding = encoding
        self._level = level

    def write(self, data: bytes) -> None:
        """Add a piece of the result."""
        self.result_bytes += len(data)
        if self.started:
            self._send_chunk(self._encode(data))
        elif self._spool is not None:
            self._spool.write(self._encode(data))
        else:
            self._held.append(data)
            self._held_bytes += len(data)
            if self._held_bytes > HOLD_BACK_BYTES:
                self._overflow()

    def finish(self, summary: str) -> None:
        """The result is complete."""
        if self.started:
            self._send_chunk(self._finish_encoder())
            self._connection.send(protocol.LAST_CHUNK)
            return
        self._headers["X-ClickHouse-Summary"] = summary
        if self._spool is not None:
            self._spool.write(self._finish_encoder())
            self._send_spool()
            return
        body = b"".join(self._held)
        if self._encoding and len(body) >= compression.WORTH_COMPRESSING_BYTES:
            encoder = compression.encoder(self._encoding, self._level)
            body = encoder.encode(body) + encoder.finish()
            self._headers["Content-Encoding"] = self._encoding
        self._send_whole(200, body)

    def fail(self, status: int, headers: Mapping[str, str], text: bytes) -> bool:
        """Tell of an error; False if the connection must be closed because of it."""
        self._close_spool()
        if not self.started:
            self._headers.pop("X-ClickHouse-Format", None)
            self._headers.pop("Content-Encoding", None)
            self._headers.update(headers)
            self._headers["Content-Type"] = "text/plain; charset=UTF-8"
            self._send_whole(status, text)
            return True
        tag = self._tag.encode()
        block = b"\r\n__exception__\r\n%b\r\n%b\r\n%d %b\r\n__exception__\r\n" % (
            tag,
            text.rstrip(b"\n"),
            len(text),
            tag,
        )
        self._send_chunk(self._encode(block) + self._finish_encoder())
        return False

    def abandon(self) -> None:
        """The client is gone: drop what was held back."""
        self._close_spool()
        self._held.clear()

    def _overflow(self) -> None:
        held, self._held = b"".join(self._held), []
        if self._encoding:
            self._encoder = compression.encoder(self._encoding, self._level)
            self._headers["Content-Encoding"] = self._encoding
        if self.hold_back_all:
            self._spool = tempfile.SpooledTemporaryFile(_SPOOL_BYTES)  # noqa: SIM115
            self._spool.write(self._encode(held))
            return
        self.started = True
        self._tag = "".join(secrets.choice(_TAG_LETTERS) for _ in range(16))
        self._headers["X-ClickHouse-Exception-Tag"] = self._tag
        self._headers["Transfer-Encoding"] = "chunked"
        self._connection.send(protocol.response_head(200, self._headers))
        self._send_chunk(self._encode(held))

    def _encode(self, data: bytes) -> bytes:
        return self._encoder.encode(data) if self._encoder else data

    def _finish_encoder(self) -> bytes:
        return self._encoder.finish() if self._encoder else b""

    def _send_chunk(self, data: bytes) -> None:
        # An empty chunk would end the body.
        if data and not self._head_only:
            self._connection.send(protocol.chunk(data))

    def _send_whole(self, status: int, body: bytes) -> None:
        self._headers["Content-Length"] = str(len(body))
        head = protocol.response_head(status, self._headers)
        self._connection.send(head if self._head_only else head + body)

    def _send_spool(self) -> None:
        assert self._spool is not None
        self._headers["Content-Length"] = str(self._spool.tell())
        self._connection.send(protocol.response_head(200, self._headers))
        self._spool.seek(0)
        while not self._head_only and (data := self._spool.read(_CHUNK_BYTES)):
            self._connection.send(data)
        self._close_spool()

    def _close_spool(self) -> None:
        if self._spool is not None:
            self._spool.close()
            self._spool = None
