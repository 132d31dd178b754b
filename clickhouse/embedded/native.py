"""The part of the Native format the engine leaves out: the header of an empty result."""

from __future__ import annotations

from collections.abc import Sequence

Column = tuple[str, str]


def header_block(columns: Sequence[Column]) -> bytes:
    """A Native block with names and types and no rows; clients learn the columns from it."""
    parts = [_varint(len(columns)), _varint(0)]
    for name, type_name in columns:
        parts += [_string(name), _string(type_name)]
    return b"".join(parts)


def read_names_and_types(data: bytes) -> list[Column]:
    """The columns of a RowBinaryWithNamesAndTypes result."""
    count, at = _read_varint(data, 0)
    texts: list[str] = []
    for _ in range(2 * count):
        size, at = _read_varint(data, at)
        texts.append(data[at : at + size].decode("utf-8", "replace"))
        at += size
    return list(zip(texts[:count], texts[count:], strict=True))


def _string(text: str) -> bytes:
    raw = text.encode()
    return _varint(len(raw)) + raw


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7
