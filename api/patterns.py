"""Forms of texts that clients send: a regular expression for the document, words for refusals."""

from __future__ import annotations

import re

# Python's `$` also stands before a last line feed, that of JSON schema does not.
END = r"$(?!\n)"

# What msgspec says of a text of another form.
MISMATCH = re.compile(r"^Expected `str` matching regex (?P<form>.+)$", re.DOTALL)

_words: dict[str, str] = {}


def form(expression: str, words: str) -> str:
    """Return an expression; what does not match it is told that it `must be` these words."""
    _words[repr(expression)] = words
    return expression


def in_words(message: str) -> str:
    """Return what msgspec says, without a regular expression in it."""
    found = MISMATCH.match(message)
    if found is None:
        return message
    return f"must be {_words.get(found['form'], 'of another form')}"
