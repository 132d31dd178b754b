"""`--sample small`: a believable world made in Postgres, for a system without data."""

from __future__ import annotations

import time

import psycopg

from api.importing.report import EntityCount, ImportReport
from api.importing.runner import import_session
from api.settings import Settings

SOURCE = "sample"
SEED = 42


def is_empty(settings: Settings) -> bool:
    """Say whether there is nothing to rank yet: no video and no post."""
    with psycopg.connect(settings.postgres_url, autocommit=True) as connection:
        found = connection.execute(
            "select exists (select 1 from app.videos) or exists (select 1 from app.posts)"
        ).fetchone()
    return found == (False,)


def generate_sample(
    settings: Settings,
    *,
    seed: int = SEED,
    users: int = 300,
    creators: int = 60,
    videos: int = 2_000,
    days: int = 30,
) -> ImportReport:
    """
    Make the sample world, ending now; generated before, it stays as it is.

    Viewers are 1 to `users`. Raises `ImportRefusedError` when another sample is there.
    """
    started = time.monotonic()
    with import_session(settings, SOURCE) as connection:
        counts = connection.execute(
            "select entity, read_rows, inserted_rows"
            " from app.generate_sample_world(%s::bigint, %s, %s, %s, %s)",
            (seed, users, creators, videos, days),
        ).fetchall()
        run = connection.execute(
            "select max(id) from app.import_runs where source = %s", (SOURCE,)
        ).fetchone()
        assert run is not None
    return ImportReport(
        source=SOURCE,
        run_id=run[0],
        is_resumed=False,
        shift_seconds=0,
        seconds=time.monotonic() - started,
        counts=tuple(EntityCount.of(*count) for count in counts),
        held_out_rows=0,
        malformed_lines=0,
        malformed=(),
    )
