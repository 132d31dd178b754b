"""TikTok: trending videos with titles, hashtags, sounds and counters."""

from __future__ import annotations

from pathlib import Path

from api.importing.errors import ImportRefusedError
from api.importing.progress import Progress, silent
from api.importing.report import ImportReport
from api.importing.runner import SourceFile, run_import
from api.settings import Settings

SOURCE = "tiktok"
LINES_PER_CHUNK = 10_000


def import_tiktok(
    settings: Settings,
    file: Path,
    *,
    shift_to_now: bool = False,
    progress: Progress = silent,
) -> ImportReport:
    """
    Import one file (`videos.jsonl`).

    `shift_to_now` moves all times so that the newest row is now, at the first import.
    """
    if not file.is_file():
        raise ImportRefusedError(f"no file {file}")
    return run_import(
        settings,
        SOURCE,
        [SourceFile(file, "tiktok.videos", LINES_PER_CHUNK)],
        shift_to_now=shift_to_now,
        progress=progress,
    )
