"""
A made-up world of a stated size, as it is in a running system: who is there, and whom to ask for.

`./nova bench world --size L` makes one (`bench/worldmaking.py`); it is recorded in app.import_runs.
docs/decisions/0044 says what it is good for, and what not.
"""

from __future__ import annotations

import random
from datetime import datetime, timedelta

import psycopg
from msgspec import Struct

from api.actionable import ActionableError
from api.settings import Settings

SOURCE = "world"
SEED = 42

# Behind the creators, whatever the size, and below the ids that anything else uses.
FIRST_VIEWER = 10_000_000
# Nobody made these, and no viewer of a world reaches them.
FIRST_STRANGER = 20_000_000

# Multiplied by this (a prime, so it has no factor in common with the number of videos), places on
# the popularity list become ids, each once: what is popular is not what has small ids.
STRIDE = 7_368_787

# Of the creators a viewer reacted to, those drawn from all (share); they follow the others.
OTHER_CREATORS_SHARE = 0.75
# What a viewer has played, on average: of the videos of followees of the last four days so many
# (share of those), of the most played of the day and of all videos so many (share of the whole).
FRESH_SHARE = 0.15
CHARTED_SHARE = 0.17
OTHER_VIDEOS_SHARE = 0.47
# Plays in the counters, for each remembered one of somebody: some come back, some are strangers.
PLAYS_PER_WATCH = 1.25


class Size(Struct, frozen=True):
    """How much of everything; `_per_viewer` are averages with a long tail (count)."""

    videos: int
    creators: int
    viewers: int
    follows_per_viewer: int = 50
    affinities_per_viewer: int = 100
    watches_per_viewer: int = 200


# A viewer's lists are as long in each size, so that what one request has to do does not change; the
# ratios of 10 videos to a creator and 5 to a viewer are those of L. XS is for tests.
SIZES = {
    "XS": Size(600, 60, 80, follows_per_viewer=8, affinities_per_viewer=12, watches_per_viewer=40),
    "S": Size(10_000, 1_000, 2_000),
    "M": Size(100_000, 10_000, 20_000),
    "L": Size(1_000_000, 100_000, 200_000),
    "XL": Size(3_000_000, 300_000, 600_000),
}


class NoWorldError(ActionableError):
    """There is no world in this system; the message says how to make one."""


class World(Struct, frozen=True):
    """A world that was made. Times in it are relative to `as_of` (UTC), when that began."""

    size: str
    seed: int
    as_of: datetime

    @property
    def counts(self) -> Size:
        """How much of everything there is."""
        return SIZES[self.size]

    @property
    def played_until(self) -> datetime:
        """
        The end of the last hour of which the world has counted plays (UTC).

        Later ones are left to the benchmarks, whose plays can be told apart by their hours: those
        of `./nova bench events` begin up to 16 minutes before it does.
        """
        return (self.as_of - timedelta(minutes=20)).replace(minute=0, second=0, microsecond=0)

    @property
    def viewer_ids(self) -> range:
        """Everybody who watches; each follows somebody and has played something."""
        return range(FIRST_VIEWER, FIRST_VIEWER + self.counts.viewers)

    @property
    def creator_ids(self) -> range:
        """Everybody who publishes, the most followed first; 0 is one of them."""
        return range(self.counts.creators)

    @property
    def video_ids(self) -> range:
        """Every video; one in a hundred is not published."""
        return range(self.counts.videos)

    def viewers(self, count: int, seed: int = SEED) -> list[int]:
        """Return viewers at random, none twice; the same seed gives the same ones."""
        return random.Random(seed).sample(self.viewer_ids, count)  # noqa: S311

    def videos(self, count: int, seed: int = SEED) -> list[int]:
        """Return videos at random, none twice; the same seed gives the same ones."""
        return random.Random(seed).sample(self.video_ids, count)  # noqa: S311

    def strangers(self, count: int, first: int = 0) -> range:
        """Return viewers nobody knows: no row, no follow, no play."""
        return range(FIRST_STRANGER + first, FIRST_STRANGER + first + count)


def world_of(settings: Settings) -> World:
    """Return the world of a running system; raises `NoWorldError` without one."""
    with psycopg.connect(settings.postgres_url) as connection:
        found = recorded(connection)
    if found is None:
        raise NoWorldError("there is no world here: make one (`./nova bench world --size S`)")
    return found


def recorded(connection: psycopg.Connection) -> World | None:
    """Return the world that was made completely, if there is one."""
    row = connection.execute(
        "select options ->> 'size', (options ->> 'seed')::bigint, covers_until"
        " from app.import_runs where source = %s and finished_at is not null",
        (SOURCE,),
    ).fetchone()
    return None if row is None else World(*row)
