"""`import`: public data sets, through Postgres like any other write, then landed and ranked."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from api.cli.console import DEFAULT_DATA_DIR, QUIET_SECONDS, AsJson, DataDir, err, out, say, step
from api.importing import progress as importing
from api.importing.hackernews import import_hackernews
from api.importing.kuairand import import_kuairand
from api.importing.readers import FIRST_READER, generate_readers
from api.importing.report import ImportReport
from api.importing.tiktok import import_tiktok
from api.settings import Settings
from api.stack.ranking import refresh_ranking
from api.stack.status import require_stores
from api.stack.system import STORES, System
from api.workers.landing import land_until_settled

MALFORMED_PRINTED = 20

Shift = Annotated[
    bool, typer.Option("--shift-to-now", help="Move all times so that the newest row is now.")
]

imports = typer.Typer(help="Load a public data set.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(imports, name="import")


@imports.command()
def kuairand(
    directory: Annotated[Path, typer.Argument(help="Folder of the KuaiRand-Pure files.")],
    until: Annotated[
        datetime | None,
        typer.Option(help="Last day to import (UTC); the rest is held out.", formats=["%Y-%m-%d"]),
    ] = None,
    shift_to_now: Shift = False,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Short-video impressions of a real app (KuaiRand, CIKM 2022)."""
    run(
        lambda settings, progress: import_kuairand(
            settings,
            directory,
            until=until.date() if until else None,
            shift_to_now=shift_to_now,
            progress=progress,
        ),
        data_dir,
        as_json,
    )


@imports.command()
def tiktok(
    file: Annotated[Path, typer.Argument(help="videos.jsonl")],
    shift_to_now: Shift = False,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Trending videos with titles, hashtags and sounds."""
    run(
        lambda settings, progress: import_tiktok(
            settings, file, shift_to_now=shift_to_now, progress=progress
        ),
        data_dir,
        as_json,
    )


@imports.command()
def hackernews(
    file: Annotated[Path, typer.Argument(help="stories.csv")],
    shift_to_now: Shift = False,
    readers: Annotated[
        int,
        typer.Option(
            help="Make up so many readers, who follow its authors and like their posts.",
            min=0,
            max=100_000,
        ),
    ] = 0,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Posts with authors, points and comment counts, and readers for them."""

    def load(settings: Settings, progress: importing.Progress) -> ImportReport:
        report = import_hackernews(settings, file, shift_to_now=shift_to_now, progress=progress)
        return report.joined(generate_readers(settings, readers)) if readers else report

    run(load, data_dir, as_json)
    if readers:
        last = FIRST_READER + readers - 1
        say(f"readers are {FIRST_READER} to {last}: ./nova token --user {FIRST_READER}")


def run(
    load: Callable[[Settings, importing.Progress], ImportReport], data_dir: Path, as_json: bool
) -> None:
    """Load into Postgres, land in ClickHouse, refresh the ranking, report."""
    settings = System(data_dir).settings_to_use(*STORES)
    require_stores(settings)
    with shown_progress() as progress:
        report = load(settings, progress)
    with step("landing in ClickHouse"):
        land_until_settled(settings)
    with step("ranking"):
        refresh_ranking(settings.clickhouse_url)
    if as_json:
        out.print(msgspec.json.format(msgspec.json.encode(report)).decode(), markup=False)
    else:
        show(report)


@contextlib.contextmanager
def shown_progress() -> Iterator[importing.Progress]:
    """Show how far an import is: a bar on a terminal, elsewhere a line now and then."""
    if not err.is_terminal:
        yield LineProgress()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=err) as bars:
        bar = bars.add_task("reading", total=None)
        yield lambda step, done, total: bars.update(
            bar, description=step, completed=done, total=total
        )


class LineProgress:
    """Says a line when there was none for some seconds."""

    def __init__(self) -> None:
        self._said = time.monotonic()

    def __call__(self, step: str, done: int, total: int) -> None:
        """Hear that `done` of `total` lines are through."""
        if time.monotonic() - self._said >= QUIET_SECONDS:
            self._said = time.monotonic()
            say(f"{step}: {done:,} of {total:,} lines")


def show(report: ImportReport) -> None:
    """Print what was read, what was new, and what could not be read."""
    table = Table("what", "read", "new", "known or twice")
    for count in report.counts:
        table.add_row(
            count.entity, *(f"{n:,}" for n in (count.read, count.inserted, count.duplicates))
        )
    out.print(table)
    say(f"{report.seconds:.1f} s in Postgres" + (", resumed" if report.is_resumed else ""))
    if report.held_out_rows:
        say(f"{report.held_out_rows:,} rows held out")
    if report.malformed_lines:
        say(f"{report.malformed_lines:,} malformed lines were skipped:")
        for line in report.malformed[:MALFORMED_PRINTED]:
            say(f"  {line}")
        if report.malformed_lines > MALFORMED_PRINTED:
            say("  … all of them: select * from app.import_malformed_lines")
