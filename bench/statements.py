"""Statements that are measured: the API's own, and those they are measured against."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from api.reels.queries import SQL
from api.settings import Settings
from api.stack.dbt import dbt
from api.surfaces.rows import instant

FOLDER = "analyses"
VARIANT = "default"


def ranking_of_reels(viewer_id: int, as_of: datetime) -> tuple[str, dict[str, Any]]:
    """Return what the API asks for when a first page of reels is ranked, and its parameters."""
    return SQL["feed_core"], for_viewer(viewer_id, as_of)


def for_viewer(viewer_id: int, as_of: datetime) -> dict[str, Any]:
    """Return the parameters of a ranking."""
    return {"viewer_id": viewer_id, "as_of": instant(as_of), "variant": VARIANT}


def compiled(settings: Settings, names: Sequence[str], folder: Path) -> Mapping[str, str]:
    """
    Return statements of `analyses` as dbt makes them; raises `RuntimeError` when it does not.

    They are written with the macros and vars of the ranking, so that no number stands twice.
    """
    target = folder / "dbt"
    ended = dbt(
        ["compile", "--quiet", "--select", *names],
        settings.clickhouse_url,
        target_path=target,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    if ended.returncode:
        raise RuntimeError(f"dbt compile failed: {ended.stdout.decode(errors='replace')[-2000:]}")
    made = target / "compiled" / "nova_feed" / FOLDER
    return {name: (made / f"{name}.sql").read_text() for name in names}
