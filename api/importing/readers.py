"""Readers of imported posts, made in Postgres: Hacker News does not say who read what."""

from __future__ import annotations

from api.importing.generated import generate
from api.importing.report import ImportReport
from api.settings import Settings

SOURCE = "readers"
SEED = 42
FIRST_READER = 4_000_000_001  # app.import_id('reader', 1)


def generate_readers(settings: Settings, count: int, *, seed: int = SEED) -> ImportReport:
    """
    Have so many readers follow, see, like and share imported posts; those that are there stay.

    Their ids are `FIRST_READER` and following. Raises `ImportRefusedError` when there is nothing
    of the last 30 days to read, or readers of another seed are there.
    """
    return generate(
        settings,
        SOURCE,
        "select entity, read_rows, inserted_rows from app.generate_readers(%s::bigint, %s)",
        (seed, count),
    )
