"""
What a KuaiRand folder holds, counted without the database.

The import is checked against this: two ways through the same rows that share no code. Plain
Python over the CSV files, slow and obvious.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from msgspec import Struct

from api.importing.kuairand import kuairand_files

HISTORY_OPENED_AT_SECONDS = int(datetime(2022, 4, 7, 16, tzinfo=UTC).timestamp())

# Columns of the log that say that something happened, and the action it becomes.
FLAGS = {
    "is_like": "like",
    "is_follow": "follow_from_item",
    "is_comment": "comment",
    "is_forward": "share",
    "is_hate": "not_interested",
    "is_profile_enter": "profile_visit",
}

# What is true or not, however often it is said: once per viewer and video.
ONCE = frozenset({"like", "not_interested"})

Key = tuple[int, int, str, int]  # viewer, video, action, second


class Recount(Struct, frozen=True):
    """Deduplicated counts of a folder: the same numbers that both databases must hold."""

    viewers: int
    creators: int
    videos: int
    sounds: int
    follows: int
    events: dict[str, int]
    views_per_video: dict[int, int]
    watch_ms: int


def recount_kuairand(
    directory: Path, *, until: date | None = None, history: bool = True
) -> Recount:
    """Count a folder's distinct viewers, videos, events and the like; ids are the files' own."""
    files = kuairand_files(directory, history=history)
    last_second = (
        int(
            (
                datetime(until.year, until.month, until.day, tzinfo=UTC) + timedelta(days=1)
            ).timestamp()
        )
        - 1
        if until
        else None
    )
    creator_of: dict[int, int] = {}
    sounds: set[int] = set()
    viewers: set[int] = set()
    follows: set[tuple[int, int]] = set()
    events: dict[Key, int] = {}
    said: set[tuple[int, int, str]] = set()

    def record(viewer: int, video: int, action: str, second: int, watch_ms: int = 0) -> None:
        if action in ONCE:
            if (viewer, video, action) in said:
                return
            said.add((viewer, video, action))
        events.setdefault((viewer, video, action, second), watch_ms)

    for file in files:
        for row in rows_of(file.path):
            if file.format == "kuairand.videos":
                creator_of[int(row["video_id"])] = int(row["author_id"])
                sounds.add(int(row["music_id"] or 0))
                continue
            time_column = "last_time_ms" if file.format == "kuairand.history" else "time_ms"
            second = int(row[time_column]) // 1000
            if last_second is not None and second > last_second:
                continue
            viewer = int(row["user_id"])
            viewers.add(viewer)
            if file.format == "kuairand.history":
                for video, action, at in history_of(row):
                    record(viewer, video, action, at)
                continue
            video = int(row["video_id"])
            record(viewer, video, "impression", second)
            if int(row["play_time_ms"]) > 0:
                record(viewer, video, "view", second, int(row["play_time_ms"]))
            for column, action in FLAGS.items():
                if row[column] == "1":
                    record(viewer, video, action, second)
            if row["is_follow"] == "1":
                follows.add((viewer, creator_of[video]))

    return Recount(
        viewers=len(viewers),
        creators=len(set(creator_of.values())),
        videos=len(creator_of),
        sounds=len(sounds - {0}),
        follows=len(follows),
        events=dict(Counter(action for _, _, action, _ in events)),
        views_per_video=dict(Counter(video for _, video, action, _ in events if action == "view")),
        watch_ms=sum(events.values()),
    )


def rows_of(path: Path) -> Iterator[dict[str, str]]:
    """Read a CSV file row by row."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        yield from csv.DictReader(file)


def history_of(row: dict[str, str]) -> Iterator[tuple[int, str, int]]:
    """Yield (video, action, second) of one viewer's history; the rule is in the decision record."""
    watched = [int(item) for item in row["watch_seq"].split()]
    liked = [int(item) for item in row["like_seq"].split()]
    watched_long = [int(item) for item in row["long_watch_seq"].split()]

    last_second = int(row["last_time_ms"]) // 1000
    lived = max(1, last_second - HISTORY_OPENED_AT_SECONDS)
    step = max(1, lived // max(1, int(row["history_len"])))

    places = places_from_end(watched)
    older = 0
    for video, nth in reversed(list(occurrences(watched_long))):
        if (video, nth) not in places:
            places[video, nth] = len(watched) + older
            older += 1
    for (video, _), place in places.items():
        yield video, "view", last_second - place * step

    older = 0
    for video, nth in reversed(list(occurrences(liked))):
        place = places.get((video, nth), len(watched) + older)
        older += (video, nth) not in places
        yield video, "like", last_second - place * step


def occurrences(items: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield each item with how often it still comes, itself included: its number from the end."""
    left = Counter(items)
    for item in items:
        yield item, left[item]
        left[item] -= 1


def places_from_end(items: Sequence[int]) -> dict[tuple[int, int], int]:
    """Return the distance from the end of each occurrence of each item."""
    return {key: len(items) - 1 - at for at, key in enumerate(occurrences(items))}
