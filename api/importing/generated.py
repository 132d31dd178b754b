"""Worlds that a function in Postgres makes up: run it as an import, report what it made."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import LiteralString

from api.importing.report import EntityCount, ImportReport
from api.importing.runner import import_session
from api.settings import Settings


def generate(
    settings: Settings, source: str, query: LiteralString, parameters: Sequence[object]
) -> ImportReport:
    """
    Run a query that returns what it generated (entity, rows read, rows inserted).

    What was generated before stays as it is. Raises `ImportRefusedError` when something else is
    in its place.
    """
    started = time.monotonic()
    with import_session(settings, source) as connection:
        counts = connection.execute(query, parameters).fetchall()
        run = connection.execute(
            "select max(id) from app.import_runs where source = %s", (source,)
        ).fetchone()
        assert run is not None
    return ImportReport(
        source=source,
        run_id=run[0],
        is_resumed=False,
        shift_seconds=0,
        seconds=time.monotonic() - started,
        counts=tuple(EntityCount.of(*count) for count in counts),
        held_out_rows=0,
        malformed_lines=0,
        malformed=(),
    )
