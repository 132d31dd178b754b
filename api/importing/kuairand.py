"""KuaiRand: exposures of a real short-video app, and what their viewers watched before."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from api.importing.errors import ImportRefusedError
from api.importing.progress import Progress, silent
from api.importing.report import ImportReport
from api.importing.runner import SourceFile, run_import
from api.settings import Settings

SOURCE = "kuairand"

# About 40,000 events each: two to three per exposure, 34 per line of history.
VIDEO_LINES = 10_000
LOG_LINES = 20_000
HISTORY_LINES = 1_200


def import_kuairand(
    settings: Settings,
    directory: Path,
    *,
    until: date | None = None,
    shift_to_now: bool = False,
    history: bool = True,
    progress: Progress = silent,
) -> ImportReport:
    """
    Import a folder of KuaiRand files: video features, then history, then logs.

    `until` is the last day (UTC) that is imported; `shift_to_now` moves all times so that the
    newest row is now, at the first import; `history` includes what viewers watched before the log.
    """
    return run_import(
        settings,
        SOURCE,
        kuairand_files(directory, history=history),
        until=until,
        shift_to_now=shift_to_now,
        progress=progress,
    )


def kuairand_files(directory: Path, *, history: bool = True) -> list[SourceFile]:
    """
    Return the files of a data set in the order in which they build on each other.

    Raises `ImportRefusedError` when there are no videos or no log.
    """
    videos = sorted(directory.glob("video_features_basic_*.csv"))
    histories = sorted(directory.glob("user_history_before_*.csv")) if history else []
    logs = sorted(directory.glob("log_standard_*.csv"))
    for found, pattern in ((videos, "video_features_basic_*.csv"), (logs, "log_standard_*.csv")):
        if not found:
            raise ImportRefusedError(f"no {pattern} in {directory}")
    return [
        *(SourceFile(path, "kuairand.videos", VIDEO_LINES) for path in videos),
        *(SourceFile(path, "kuairand.history", HISTORY_LINES) for path in histories),
        *(SourceFile(path, "kuairand.log", LOG_LINES) for path in logs),
    ]
