"""
Just enough of the grammar to know what to do with a statement.

The engine parses SQL; this module only finds the first keyword, where the data of an insert
begins, and a trailing `format X`. It works on bytes because the data after an insert may be binary.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import NamedTuple

# One token at a time. Strings, quoted names and comments are whole tokens, so a keyword inside
# them is never mistaken for one.
_TOKEN = re.compile(
    rb"""
      (?P<space>[\s\x00]+)
    | (?P<comment>--[^\n]*(?:\n|\Z)|\#[!\ ][^\n]*(?:\n|\Z)|/\*.*?(?:\*/|\Z))
    | (?P<string>'(?:[^'\\]|\\.|'')*(?:'|\Z))
    | (?P<name>"(?:[^"\\]|\\.|"")*(?:"|\Z)|`(?:[^`\\]|\\.|``)*(?:`|\Z))
    | (?P<heredoc>\$(?P<tag>\w*)\$.*?(?:\$(?P=tag)\$|\Z))
    | (?P<word>[A-Za-z_]\w*)
    | (?P<open>[(\[{])
    | (?P<close>[)\]}])
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
# Of `Memory`: how many statements (count), and how long they are (bytes).
_REMEMBERED_MAX = 64
_REMEMBERED_BYTES_MIN = 1 << 10
_REMEMBERED_BYTES_MAX = 1 << 16
_DATA_START = re.compile(rb"[ \t\f]*;?[ \t\f]*\r?\n?")


class Token(NamedTuple):
    """A token that is neither space nor comment; `word` is upper case, empty if not a word."""

    word: bytes
    text: bytes
    depth: int
    start: int
    end: int


class InsertSplit(NamedTuple):
    """An insert whose rows follow the statement: `insert into t (a)` + `CSV` + where rows begin."""

    statement: bytes
    format: str
    data_start: int


class Remembered(NamedTuple):
    """What only depends on a statement's text: its class, how many it is, and its format."""

    kind: str
    statement_count: int
    bare_sql: bytes
    explicit_format: str | None


class Memory:
    """
    Statements that come again and again, the long ones: taking one apart costs as much as running
    a small one. Those used last, `_REMEMBERED_MAX` at most; short ones are not worth a place.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[bytes, Remembered] = OrderedDict()

    def find(self, sql: bytes) -> Remembered | None:
        """Return what is known of a statement, if it has come before."""
        with self._lock:
            known = self._known.get(sql)
            if known is not None:
                self._known.move_to_end(sql)
            return known

    def keep(self, sql: bytes, known: Remembered) -> None:
        """Remember a statement; forgets the one that was not asked for for longest."""
        if not _REMEMBERED_BYTES_MIN <= len(sql) <= _REMEMBERED_BYTES_MAX:
            return
        with self._lock:
            self._known[sql] = known
            while len(self._known) > _REMEMBERED_MAX:
                self._known.popitem(last=False)


class NeedMoreError(Exception):
    """The statement does not end within the bytes at hand."""


def tokens(sql: bytes) -> Iterator[Token]:
    """Tokens without spaces and comments, each with its bracket depth."""
    depth = 0
    for match in _TOKEN.finditer(sql):
        kind = match.lastgroup
        if kind in ("space", "comment"):
            continue
        if kind == "close":
            depth = max(0, depth - 1)
        word = match[0].upper() if kind == "word" else b""
        yield Token(word, match[0], depth, match.start(), match.end())
        if kind == "open":
            depth += 1


def first_keyword(sql: bytes) -> str:
    """The word a statement begins with, upper case; brackets before it are skipped."""
    for token in tokens(sql):
        if token.text == b"(":
            continue
        return token.word.decode()
    return ""


def split_insert(sql: bytes, *, complete: bool) -> InsertSplit | None:
    """
    Where the rows of an insert begin, or None if it brings none (`insert … select`, `from infile`).

    `complete` says that nothing follows these bytes; otherwise a keyword at the very end may be
    the first half of a longer one, and NeedMoreError asks for more.
    """
    previous = b""
    source_is_select = False
    tail: list[Token] = []
    for token in tokens(sql):
        if not complete and token.end == len(sql):
            raise NeedMoreError
        if token.depth:
            continue
        if tail:
            start = _data_start(sql, token.end, complete)
            return InsertSplit(sql[: tail[0].start], token.text.decode(), start)
        if token.word == b"FORMAT" and previous not in (b"INTO", b"TABLE", b"."):
            if source_is_select and not reads_input(sql[: token.start]):
                return None
            tail.append(token)
        elif token.word == b"VALUES" and not source_is_select and previous not in (b"INTO", b"."):
            return InsertSplit(sql[: token.start], "Values", token.end)
        elif token.word in (b"SELECT", b"WITH", b"WATCH"):
            source_is_select = True
        elif token.word == b"INFILE":
            return None
        previous = token.word or token.text
    if not complete:
        raise NeedMoreError
    return None


def reads_input(sql: bytes) -> bool:
    """True for `insert … select … from input('…')`, which takes rows from the request."""
    before: Token | None = None
    for token in tokens(sql):
        if token.text == b"(" and before is not None and before.word == b"INPUT":
            return True
        before = token
    return False


def split_format(sql: bytes, formats: Mapping[str, str]) -> tuple[bytes, str | None]:
    """
    The statement without its `format X`, and X by its proper name.

    `formats` maps lower-case names to proper ones: only with them is `order by format desc` not
    taken for an output format.
    """
    top = [token for token in tokens(sql) if not token.depth and token.text != b";"]
    for at in range(len(top) - 2, -1, -1):
        word, name = top[at], top[at + 1]
        proper = formats.get(name.text.decode("utf-8", "replace").lower())
        is_last = at + 2 == len(top) or top[at + 2].word == b"SETTINGS"
        if word.word == b"FORMAT" and proper is not None and is_last:
            return sql[: word.start] + sql[name.end :], proper
    return sql, None


def without_end(sql: bytes) -> bytes:
    """The statement without a semicolon, space or comment at its end."""
    last = 0
    for token in tokens(sql):
        if token.text != b";" or token.depth:
            last = token.end
    return sql[:last]


def _data_start(sql: bytes, at: int, complete: bool) -> int:
    match = _DATA_START.match(sql, at)
    end = match.end() if match else at
    if not complete and end == len(sql):
        raise NeedMoreError
    return end
