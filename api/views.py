"""
What the serving views say, so that a query can say it instead of naming the view.

ClickHouse analyses a parameterized view twice, for its columns and for its rows, which is a fifth
of what a feed costs. Its text with the same parameters is analysed once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

# `nova.view(a = {a:Type}, …)`: parameters are handed on under their own names, and nothing else is.
CALL = re.compile(r"\bnova\.(\w+)\(((?:\s*(\w+) = \{\3:[^{}]+\},?)+)\s*\)")


class ViewTexts:
    """The texts of the serving views, and statements written out with them."""

    def __init__(self) -> None:
        self._texts: Mapping[str, str] = {}
        self._written_out: dict[str, str] = {}

    def learn(self, texts: Mapping[str, str]) -> None:
        """Take these as the views there are: text by name."""
        self._texts = texts
        self._written_out = {}

    def forget(self) -> None:
        """Name the views again, until they are learned anew."""
        self.learn({})

    def written_out(self, statement: str) -> str:
        """Return a statement with the text of each view it calls; as it is when one is unknown."""
        known = self._written_out.get(statement)
        if known is None:
            known = self._written_out[statement] = CALL.sub(self._text_of, statement)
        return known

    def _text_of(self, call: re.Match[str]) -> str:
        text = self._texts.get(call[1])
        return call[0] if text is None else f"(\n{text}\n) as {call[1]}"
