"""`warm`: first pages made before anybody asks for them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from api.actionable import ActionableError
from api.auth import LARGEST_USER_ID
from api.cli.console import DEFAULT_DATA_DIR, AsJson, DataDir, out, say
from api.ids import LONGEST_ID
from api.reels.warming import warm as warm_viewers
from api.reels.warming import warm_recent
from api.stack.status import require_stores
from api.stack.system import STORES, System

NICENESS = 10  # requests come first


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(warm)


def warm(
    viewers: Annotated[
        Path | None, typer.Option(help="File with a viewer's id in each line.", exists=True)
    ] = None,
    recent: Annotated[
        int | None, typer.Option(help="So many viewers, who watched last.", min=1, max=1_000_000)
    ] = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Rank first pages of reels ahead of time; safe at any time, as often as you like."""
    if (viewers is None) == (recent is None):
        raise ActionableError("say who: either --viewers FILE or --recent COUNT")
    settings = System(data_dir).settings_to_use(*STORES)
    require_stores(settings)
    os.nice(NICENESS)
    if viewers is not None:
        warmed = asyncio.run(warm_viewers(settings, viewers_in(viewers)))
    else:
        warmed = asyncio.run(warm_recent(settings, recent or 0))
    if as_json:
        out.print(msgspec.json.encode(warmed).decode(), markup=False)
    else:
        say(
            f"{warmed.ranked} ranked, {warmed.left_alone} had a fresh page,"
            f" {warmed.failed} failed, {warmed.seconds} s"
        )
    if warmed.failed:
        raise ActionableError("some viewers could not be ranked; run it again")


def viewers_in(file: Path) -> Iterator[int]:
    """Yield the ids of a file; raises `ActionableError`, naming the line that has none."""
    with file.open() as lines:
        for number, line in enumerate(lines, start=1):
            text = line.strip()
            if not text.isdecimal() or len(text) > LONGEST_ID or int(text) > LARGEST_USER_ID:
                raise ActionableError(f"{file}, line {number}: not a viewer's id: {text[:40]!r}")
            yield int(text)
