"""The base of errors that end a command with a message instead of a traceback."""

from __future__ import annotations


class ActionableError(Exception):
    """Something the person at the terminal can act on; the message says what, and how."""
