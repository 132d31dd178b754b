"""`--sample small`: a believable world made in Postgres, for a system without data."""

from __future__ import annotations

import psycopg

from api.importing.generated import generate
from api.importing.report import ImportReport
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
    return generate(
        settings,
        SOURCE,
        "select entity, read_rows, inserted_rows"
        " from app.generate_sample_world(%s::bigint, %s, %s, %s, %s)",
        (seed, users, creators, videos, days),
    )
