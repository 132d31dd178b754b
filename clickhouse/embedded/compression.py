"""Bodies in and out: gzip, deflate, zstd, lz4, bzip2 and xz, decoded and encoded in a stream."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import lz4.frame
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
        raise ClickHouseError(
            NOT_IMPLEMENTED, f"Unknown compression method: {encoding}"
        ) from None
    return _decode_frames(chunks, make, failures)


def _decode_frames(
    chunks: Iterable[bytes],
    make: Callable[[], Any],
    failures: tuple[type[Exception], ...],
) -> Iterator[bytes]:
    frame: Any = None
    try:
        for chunk in chunks:
            rest = chunk
            while rest:
                if frame is None:
                    frame = make()
                for plain in _steps(frame, rest):
                    yield plain
                rest = b""
                if frame.eof:
                    rest = frame.unused_data or b""
                    frame = None
    except failures as exc:
        raise ClickHouseError(CANNOT_DECOMPRESS, f"Cannot decompress the request body: {exc}") from exc
    if frame is not None:
        raise ClickHouseError(CANNOT_DECOMPRESS, "The compressed request body ends too early")


def _steps(frame: Any, data: bytes) -> Iterator[bytes]:
    """Decode `data` in steps of at most `_STEP_BYTES` where the library can stop half-way."""
    if isinstance(frame, lz4.frame.LZ4FrameDecompressor | bz2.BZ2Decompressor | lzma.LZMADecompressor):
        plain = frame.decompress(data, _STEP_BYTES)
        while plain or not (frame.eof or frame.needs_input):
            yield plain
            if frame.eof:
                return
            plain = frame.decompress(b"", _STEP_BYTES)
        return
    if hasattr(frame, "unconsumed_tail"):
        plain = frame.decompress(data, _STEP_BYTES)
        while True:
            if plain:
                yield plain
            if frame.eof or not (frame.unconsumed_tail or len(plain) == _STEP_BYTES):
                return
            plain = frame.decompress(frame.unconsumed_tail, _STEP_BYTES)
    plain = frame.decompress(data)
    if plain:
        yield plain


class _Deflate:
    """zlib's format as the standard says, or raw deflate as some clients send."""

    def __init__(self) -> None:
        self._inner: Any = None

    def decompress(self, data: bytes, limit: int = 0) -> bytes:
        if self._inner is None:
            has_zlib_header = data[:1] and data[0] & 0x0F == 8
            self._inner = zlib.decompressobj(_ZLIB if has_zlib_header else _RAW_DEFLATE)
        return bytes(self._inner.decompress(data, limit))

    @property
    def eof(self) -> bool:
        return bool(self._inner.eof)

    @property
    def unused_data(self) -> bytes:
        return bytes(self._inner.unused_data)

    @property
    def unconsumed_tail(self) -> bytes:
        return b"" if self._inner is None else bytes(self._inner.unconsumed_tail)


_DECODERS: dict[str, tuple[Callable[[], Any], tuple[type[Exception], ...]]] = {
    "gzip": (lambda: zlib.decompressobj(_GZIP), (zlib.error,)),
    "deflate": (_Deflate, (zlib.error,)),
    "zstd": (
        lambda: zstandard.ZstdDecompressor().decompressobj(),
        (zstandard.ZstdError,),
    ),
    "lz4": (lz4.frame.LZ4FrameDecompressor, (RuntimeError, EOFError)),
    "bz2": (bz2.BZ2Decompressor, (OSError, EOFError)),
    "xz": (lzma.LZMADecompressor, (lzma.LZMAError, EOFError)),
}
