"""Bodies in and out: gzip, deflate, zstd, lz4, bzip2 and xz, decoded and encoded in a stream."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import lz4.frame  # type: ignore[import-untyped]
import zstandard

from clickhouse.embedded.errors import CANNOT_DECOMPRESS, NOT_IMPLEMENTED, ClickHouseError

# What a response is compressed with, best first: lz4 costs least where client and server share
# a machine, and that is the only place this server is meant for.
RESPONSE_ENCODINGS = ("lz4", "zstd", "gzip", "deflate")
# Below this a compressed body is not worth the headers (bytes).
WORTH_COMPRESSING_BYTES = 1_024
_GZIP, _ZLIB, _RAW_DEFLATE = 31, 15, -15
# The most one step may decode to (bytes), so that a bomb cannot fill the memory at once.
_STEP_BYTES = 1 << 20


class Encoder(Protocol):
    """Turns chunks into compressed chunks; `finish` returns what is left."""

    def encode(self, chunk: bytes) -> bytes:
        """Compress one chunk; may return nothing yet."""

    def finish(self) -> bytes:
        """End the stream."""


class _Lz4Encoder:
    def __init__(self) -> None:
        self._frame = lz4.frame.LZ4FrameCompressor()
        self._begun = False

    def encode(self, chunk: bytes) -> bytes:
        head = b"" if self._begun else self._frame.begin()
        self._begun = True
        return bytes(head + self._frame.compress(chunk))

    def finish(self) -> bytes:
        head = b"" if self._begun else self._frame.begin()
        return bytes(head + self._frame.flush())


class _ObjectEncoder:
    """zlib and zstandard agree on `compress` and `flush`."""

    def __init__(self, compressor: Any) -> None:
        self._compressor = compressor

    def encode(self, chunk: bytes) -> bytes:
        return bytes(self._compressor.compress(chunk))

    def finish(self) -> bytes:
        return bytes(self._compressor.flush())


def choose_encoding(accept_encoding: str) -> str | None:
    """The best encoding both sides know, or None."""
    accepted = {item.split(";")[0].strip().lower() for item in accept_encoding.split(",")}
    return next((name for name in RESPONSE_ENCODINGS if name in accepted), None)


def encoder(encoding: str, level: int = 3) -> Encoder:
    """A fresh encoder for one response."""
    if encoding == "lz4":
        return _Lz4Encoder()
    if encoding == "zstd":
        return _ObjectEncoder(zstandard.ZstdCompressor(level=min(level, 19)).compressobj())
    wbits = _GZIP if encoding == "gzip" else _ZLIB
    return _ObjectEncoder(zlib.compressobj(min(level, 9), zlib.DEFLATED, wbits))


def decode(chunks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """
    The plain bytes of a request body.

    A body may be several frames in a row (clickhouse-connect sends one lz4 frame per block); a
    decoder that stops after the first would lose rows without a word. A frame that does not end
    is an error, for the same reason.
    """
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return iter(chunks)
    try:
        make, failures = _DECODERS[encoding]
    except KeyError:
        raise ClickHouseError(NOT_IMPLEMENTED, f"Unknown compression method: {encoding}") from None
    return _decode_frames(chunks, make, failures)


def _decode_frames(
    chunks: Iterable[bytes],
    make: Callable[[], _Frame],
    failures: tuple[type[Exception], ...],
) -> Iterator[bytes]:
    frame: _Frame | None = None
    try:
        for chunk in chunks:
            rest = chunk
            while rest:
                if frame is None:
                    frame = make()
                yield from frame.steps(rest)
                rest = b""
                if frame.decoder.eof:
                    rest = frame.decoder.unused_data or b""
                    frame = None
    except failures as exc:
        raise ClickHouseError(
            CANNOT_DECOMPRESS, f"Cannot decompress the request body: {exc}"
        ) from exc
    if frame is not None:
        raise ClickHouseError(CANNOT_DECOMPRESS, "The compressed request body ends too early")


class _Frame:
    """One compressed frame; `decoder` says whether it has ended and what came after it."""

    decoder: Any

    def steps(self, data: bytes) -> Iterator[bytes]:
        """The plain bytes of `data`; not much more than `_STEP_BYTES` at a time if possible."""
        raise NotImplementedError


class _LimitedFrame(_Frame):
    """lz4, bzip2 and xz: `decompress` takes a limit and keeps what is left."""

    def __init__(self, decoder: Any) -> None:
        self.decoder = decoder

    def steps(self, data: bytes) -> Iterator[bytes]:
        yield self.decoder.decompress(data, _STEP_BYTES)
        while not (self.decoder.eof or self.decoder.needs_input):
            yield self.decoder.decompress(b"", _STEP_BYTES)


class _ZlibFrame(_Frame):
    """gzip and deflate: `decompress` takes a limit and gives back what is left."""

    def __init__(self, wbits: int | None) -> None:
        self.decoder = None if wbits is None else zlib.decompressobj(wbits)

    def steps(self, data: bytes) -> Iterator[bytes]:
        if self.decoder is None:
            # Deflate is zlib's format by the standard, but some clients send it bare.
            self.decoder = zlib.decompressobj(_ZLIB if data[0] & 0x0F == 8 else _RAW_DEFLATE)
        left = data
        while True:
            plain = self.decoder.decompress(left, _STEP_BYTES)
            yield plain
            left = self.decoder.unconsumed_tail
            if self.decoder.eof or (not left and len(plain) < _STEP_BYTES):
                return


class _ZstdFrame(_Frame):
    """zstd: the library has no limit to give."""

    def __init__(self) -> None:
        self.decoder = zstandard.ZstdDecompressor().decompressobj()

    def steps(self, data: bytes) -> Iterator[bytes]:
        yield self.decoder.decompress(data)


_DECODERS: dict[str, tuple[Callable[[], _Frame], tuple[type[Exception], ...]]] = {
    "gzip": (lambda: _ZlibFrame(_GZIP), (zlib.error,)),
    "deflate": (lambda: _ZlibFrame(None), (zlib.error,)),
    "zstd": (_ZstdFrame, (zstandard.ZstdError,)),
    "lz4": (lambda: _LimitedFrame(lz4.frame.LZ4FrameDecompressor()), (RuntimeError, EOFError)),
    "bz2": (lambda: _LimitedFrame(bz2.BZ2Decompressor()), (OSError, EOFError)),
    "xz": (lambda: _LimitedFrame(lzma.LZMADecompressor()), (lzma.LZMAError, EOFError)),
}
