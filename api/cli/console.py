"""How the command line speaks: words on stderr, results on stdout, colour only on a terminal."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from api.stack.system import ROOT

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

DataDir = Annotated[
    Path,
    typer.Option("--data-dir", help="Where embedded servers keep their files.", envvar=None),
]
AsJson = Annotated[bool, typer.Option("--json", help="For a script: one JSON document.")]
DEFAULT_DATA_DIR = ROOT / ".nova"

# Where there is no terminal, nobody waits longer than this for a sign of life.
QUIET_SECONDS = 5.0


def say(message: str) -> None:
    """Tell the person what happens."""
    err.print(message, markup=False)


def fail(message: str) -> None:
    """Tell the person what went wrong."""
    err.print(f"nova: {message}", style="red", markup=False)


@contextlib.contextmanager
def step(doing: str) -> Iterator[None]:
    """Show a step while it runs, and how long it took; in a log, the start of long ones only."""
    began = time.monotonic()
    if err.is_terminal:
        with err.status(f"{doing} …"):
            yield
    else:
        announcing = threading.Timer(QUIET_SECONDS, say, [f"{doing} …"])
        announcing.start()
        try:
            yield
        finally:
            announcing.cancel()
    err.print(f"[green]✓[/green] {doing} [dim]({time.monotonic() - began:.1f} s)[/dim]")
