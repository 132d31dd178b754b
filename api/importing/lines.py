"""Raw lines of a file on their way into Postgres. Bytes are moved; nothing is parsed here."""

from __future__ import annotations

import codecs
import hashlib
from pathlib import Path

from psycopg import Connection

BLOCK_BYTES = 1 << 20

# Stands for a byte that is not text. SUB was made for this, and SQL reports the line it is in.
SUBSTITUTE = "\x1a"


def substitute(error: UnicodeError) -> tuple[str, int]:
    """Replace each byte that is not UTF-8 by one SUB and go on behind it."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return SUBSTITUTE * (error.end - error.start), error.end


codecs.register_error("nova_substitute", substitute)


def copy_lines(connection: Connection, path: Path) -> str:
    """
    Copy a file's lines into `import_lines`, one row each, and return its SHA-256.

    Every byte arrives as it is: what COPY would read as its own (backslash, tab, carriage return)
    is escaped, what Postgres cannot hold (NUL, broken UTF-8) becomes SUB.
    """
    digest = hashlib.sha256()
    # "utf-8-sig" forgets the mark that some editors put before the first character.
    decoder = codecs.getincrementaldecoder("utf-8-sig")("nova_substitute")
    with (
        path.open("rb") as file,
        connection.cursor().copy("copy import_lines (line) from stdin") as copy,
    ):
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
            copy.write(escaped(decoder.decode(block)))
        copy.write(escaped(decoder.decode(b"", final=True)))
    return digest.hexdigest()


def escaped(text: str) -> bytes:
    """Return text as COPY reads it back unchanged; only the newline keeps its meaning."""
    return (
        text.replace("\0", SUBSTITUTE)
        .replace("\\", "\\\\")
        .replace("\t", "\\t")
        .replace("\r", "\\r")
        .encode()
    )
