"""How an import tells what it is doing, without knowing who listens."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called after each step. `done` and `total` are lines of all files together."""

    def __call__(self, step: str, done: int, total: int) -> None:
        """Hear that `done` of `total` lines are through; `step` names what is at work."""


def silent(step: str, done: int, total: int) -> None:
    """Tell nobody."""
