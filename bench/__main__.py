"""`./nova bench list|run NAME|world|events|freshness|posts-fallback|all`: on the running system."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
import typer
from msgspec import Struct
from rich.table import Table

from api.actionable import ActionableError
from api.cli.console import DEFAULT_DATA_DIR, AsJson, DataDir, err, fail, out, say
from api.settings import Settings
from api.stack.status import require_stores
from api.stack.system import STORES, System
from bench.events import measure_events, show_events
from bench.fallback import measure_fallback, show_fallback
from bench.feed import BENCHMARKS
from bench.freshness import measure_freshness, show_freshness
from bench.measure import Figure, circumstances, keep
from bench.world import SEED, SIZES
from bench.worldmaking import make_world, show_world

Report = TypeVar("Report", bound=Struct)

Rate = Annotated[float, typer.Option(help="Events per second, a fifth of them sent before.", min=1)]
Seconds = Annotated[float, typer.Option(help="How long to send.", min=1)]
Probes = Annotated[int, typer.Option(help="Events, and likes, to follow.", min=10)]

app = typer.Typer(name="nova bench", no_args_is_help=True, add_completion=False)


@app.command("list")
def list_benchmarks() -> None:
    """Say what can be measured."""
    for name, (what, _) in BENCHMARKS.items():
        out.print(f"run {name:14} {what}", markup=False)
    for command in (events, freshness, posts_fallback):
        name, says = command.__name__, (command.__doc__ or "").strip().partition("\n")[0]
        out.print(f"{name.replace('_', '-'):18} {says}", markup=False)


@app.command()
def run(
    names: Annotated[list[str], typer.Argument(help="What to measure, in this order.")],
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Measure some things; empties Redis in between."""
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        raise typer.BadParameter(f"unknown: {', '.join(unknown)}; see `./nova bench list`")
    settings, _ = running(data_dir)
    figures: list[Figure] = []
    for name in names:
        say(f"measuring {name}")
        measured = BENCHMARKS[name][1](settings)
        note(name, {"figures": measured})
        figures += measured
    show(figures, as_json)


@app.command()
def events(
    rate: Rate = 10_000,
    seconds: Seconds = 30,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """
    Write batches of 100 events at a rate, and look for the highest that is held.

    Fails when anything that was acknowledged is missing, or there twice, or anything else is there.
    """
    settings, system = running(data_dir)
    report = measure_events(settings, system, rate, seconds)
    note("events", {"report": report})
    tell(report, as_json, show_events)
    if not report.exactness.is_exact:
        fail("what is stored is not what was acknowledged")
        raise typer.Exit(1)


@app.command()
def freshness(
    probes: Probes = 200, data_dir: DataDir = DEFAULT_DATA_DIR, as_json: AsJson = False
) -> None:
    """
    Follow events into rollups and scores, and likes into the next page.

    Fails when a like is not in the next page of whoever liked.
    """
    settings, _ = running(data_dir)
    report = measure_freshness(settings, probes)
    note("freshness", {"report": report})
    tell(report, as_json, show_freshness)
    if not report.is_reflected:
        fail("a like was not in the next page")
        raise typer.Exit(1)


@app.command()
def posts_fallback(
    seconds: Annotated[float, typer.Option(help="How long ClickHouse hangs.", min=5)] = 30,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """
    Read posts with 50 clients while ClickHouse hangs, and while it is killed; needs many readers.

    Fails when a page is refused, or feeds are not ranked again afterwards.
    """
    settings, system = running(data_dir)
    report = measure_fallback(settings, system, seconds)
    note("posts-fallback", {"report": report})
    tell(report, as_json, show_fallback)
    if not report.is_served:
        fail(
            "pages were refused, or did not come from Postgres meanwhile, or not ranked afterwards"
        )
        raise typer.Exit(1)


@app.command()
def world(
    size: Annotated[str, typer.Option(help=f"One of {', '.join(SIZES)}.")],
    seed: Annotated[int, typer.Option(help="The same seed makes the same world.", min=0)] = SEED,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """
    Make a world of a stated size in a running system that holds nothing (`up --sample none`).

    Made before, it is only looked at. Fails when the two databases differ afterwards.
    """
    if size not in SIZES:
        raise typer.BadParameter(f"{size} is none of {', '.join(SIZES)}", param_hint="--size")
    settings, _ = running(data_dir)
    report = make_world(settings, size, seed)
    note("world", {"report": report})
    tell(report, as_json, show_world)


@app.command("all")
def run_all(data_dir: DataDir = DEFAULT_DATA_DIR, as_json: AsJson = False) -> None:
    """Measure everything."""
    run(list(BENCHMARKS), data_dir, as_json)
    freshness(data_dir=data_dir, as_json=as_json)
    posts_fallback(data_dir=data_dir, as_json=as_json)
    events(data_dir=data_dir, as_json=as_json)


def running(data_dir: Path) -> tuple[Settings, System]:
    """Return a system whose stores answer; raises `StartError` when one does not."""
    system = System(data_dir)
    settings = system.settings_to_use(*STORES)
    require_stores(settings)
    return settings, system


def note(name: str, found: Mapping[str, object]) -> None:
    """Keep what was found, and say where."""
    path = keep(name, found)
    say(f"kept in {path.relative_to(path.parents[2])}")


def tell(report: Report, as_json: bool, show: Callable[[Report], None]) -> None:
    """Print a report as tables, or as one JSON document with its circumstances."""
    if as_json:
        body = {**circumstances(), "report": msgspec.to_builtins(report)}
        out.print(msgspec.json.format(msgspec.json.encode(body)).decode(), markup=False)
        return
    around = circumstances()
    out.print(
        f"{around['at']}, commit {around['commit']}, {around['cores']} cores, "
        f"{around['memory_gib']} GiB, load average {around['load_average']}",
        markup=False,
    )
    show(report)


def show(figures: list[Figure], as_json: bool) -> None:
    """Print figures as a table, or as one JSON document with their circumstances."""
    if as_json:
        body = {**circumstances(), "figures": msgspec.to_builtins(figures)}
        out.print(msgspec.json.format(msgspec.json.encode(body)).decode(), markup=False)
        return
    table = Table("what", "clients", "requests", "errors", "per second", "p50", "p95", "p99 (ms)")
    for figure in figures:
        table.add_row(
            figure.name,
            *(str(value) for value in (figure.clients, figure.requests, figure.errors)),
            f"{figure.per_second:,.0f}",
            *(f"{value:.1f}" for value in (figure.p50_ms, figure.p95_ms, figure.p99_ms)),
        )
    err.print(f"[dim]{circumstances()['cores']} cores, closed loop[/dim]")
    out.print(table)


try:
    app()
except ActionableError as exc:
    fail(str(exc))
    sys.exit(1)
