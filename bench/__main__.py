"""`./nova bench list|run NAME…|all|growth|soak|report|world|events|freshness|posts-fallback`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
import typer
from msgspec import Struct
from rich.table import Table

from api.actionable import ActionableError
from api.cli.console import DEFAULT_DATA_DIR, AsJson, DataDir, fail, out, say
from api.settings import Settings
from api.stack.status import require_stores
from api.stack.system import STORES, System
from bench import capacity, plots, report
from bench.catalogue import BENCHMARKS
from bench.events import measure_events, show_events
from bench.fallback import measure_fallback, show_fallback
from bench.freshness import measure_freshness, show_freshness
from bench.place import own_system
from bench.registry import Benchmark, Goal
from bench.results import ROOT, Record, Result, keep, record, world_of
from bench.runs import all_of, carry_out
from bench.show import show_record, wide
from bench.soak import soak as long_run
from bench.world import SEED, SIZES
from bench.worldmaking import make_world, show_world

Report = TypeVar("Report", bound=Struct)

Rate = Annotated[float, typer.Option(help="Events per second, a fifth of them sent before.", min=1)]
Seconds = Annotated[float, typer.Option(help="How long to send.", min=1)]
Probes = Annotated[int, typer.Option(help="Events, and likes, to follow.", min=10)]
Quick = Annotated[bool, typer.Option("--quick", help="In a twentieth of the time; to try.")]
OwnDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Where the run's own system is; .nova/bench-SIZE if not said."),
]
Size = Annotated[str, typer.Option(help="World: S, M, L (`./nova bench world`).")]
Only = Annotated[list[str] | None, typer.Option(help="Of all, only these; may be given often.")]
Reuse = Annotated[
    bool, typer.Option("--reuse", help="Take the world that an earlier run left there.")
]

# What changes with the size of a world: the curves of `growth`.
GROWING = ("feed-query", "feed-miss", "rank-candidates", "refresh", "landing", "memory")

app = typer.Typer(name="nova bench", no_args_is_help=True, add_completion=False)


@app.command("list")
def list_benchmarks(as_json: AsJson = False) -> None:
    """Say what can be measured, against what, and with which goals."""
    if as_json:
        told = [
            {
                "name": each.name,
                "what": each.what,
                "reference": each.reference,
                "needs": each.needs,
                "goals": [{"value": goal.value, "bound": goal.words} for goal in each.goals],
            }
            for each in BENCHMARKS.values()
        ]
        out.print(msgspec.json.format(msgspec.json.encode(told)).decode(), markup=False)
        return
    table = Table("name", "what", "reference in the same run", "world", "goals")
    for each in BENCHMARKS.values():
        goals = "\n".join(f"{goal.value} {goal.words}" for goal in each.goals)
        table.add_row(each.name, each.what, each.reference, each.needs, goals)
    wide.print(table)


@app.command()
def run(
    names: Annotated[list[str], typer.Argument(help="What to measure, in this order.")],
    quick: Quick = False,
    into: Annotated[
        Path | None, typer.Option(help="Write what was found here and nowhere else.", hidden=True)
    ] = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Measure some things on the running system; empties Redis in between."""
    chosen = named(names)
    settings, system = running(data_dir)
    world = world_of(settings)
    results = []
    for benchmark in chosen:
        if into is None:
            say(f"measuring {benchmark.name}: {benchmark.what}")
        results.append(carry_out(benchmark, settings, system, is_quick=quick))
    name = names[0] if len(names) == 1 else "run"
    found = record(name, "", results, world=world, is_quick=quick)
    if into is None:
        finish(found, as_json)
    else:
        into.write_bytes(msgspec.json.encode(found))


@app.command("all")
def run_all(
    size: Size = "S",
    quick: Quick = False,
    only: Only = None,
    reuse: Reuse = False,
    data_dir: OwnDir = None,
    as_json: AsJson = False,
) -> None:
    """
    Measure everything, in a world of a size, on a system of its own that is stopped at the end.

    Everything but what makes a world of its own (`search`, `similar`). Fails when something could
    not be measured, or was lost; a goal that is missed is told.
    """
    chosen = named(only or [each.name for each in BENCHMARKS.values() if not each.is_apart])
    kept = measured_in(size, chosen, "all", quick, reuse, data_dir)
    finish(kept, as_json)


@app.command()
def growth(
    sizes: Annotated[str, typer.Option(help="Worlds, smallest first.")] = "S,M,L",
    quick: Quick = False,
    reuse: Reuse = False,
    as_json: AsJson = False,
) -> None:
    """Measure what changes with the size of a world, in one world after the other."""
    failed = False
    for size in sizes.split(","):
        chosen = [BENCHMARKS[name] for name in GROWING if name in BENCHMARKS]
        kept = measured_in(size.strip(), chosen, "growth", quick, reuse, None)
        try:
            finish(kept, as_json)
        except typer.Exit:
            failed = True
    if failed:
        raise typer.Exit(1)


@app.command("report")
def write_report(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Results to publish first.", exists=True)
    ] = None,
) -> None:
    """Make the figures, plots and capacities of the documents anew, from published results."""
    report.publish(files or [])
    found = report.published()
    report.write(report.page(found, plots.draw(found)))
    report.write(capacity.page(found), capacity.PAGE)
    say("docs/performance.md and docs/capacity.md are made anew")


@app.command()
def soak(
    minutes: Annotated[float, typer.Option(help="How long.", min=1)] = 30,
    rate: Annotated[float, typer.Option(help="Requests per second.", min=1)] = 200,
    size: Size = "L",
    reuse: Reuse = False,
    data_dir: OwnDir = None,
    as_json: AsJson = False,
) -> None:
    """
    Read and write for long, and see whether anything grows: memory, keys, parts, bloat, files.

    On a system of its own, in a world of a size. Fails when something grows without bound.
    """
    benchmark = Benchmark(
        "soak",
        f"mixed load of {rate:g} requests a second for {minutes:g} minutes",
        "itself after warming up",
        lambda run: long_run(run, minutes, rate),
        goals=(Goal("growing", 0, "series"), Goal("errors", 0, "errors")),
    )
    with own_system(data_dir or place_of(size), size, reuse=reuse) as (system, loaded):
        settings = system.settings()
        world = world_of(settings)
        say(f"measuring soak: {benchmark.what}")
        result = carry_out(benchmark, settings, system, is_quick=False)
    kept = record("soak", size, [result], world=world, is_quick=False)
    kept.loaded = loaded
    finish(kept, as_json)


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
    measured = measure_events(settings, system, rate, seconds)
    tell(measured, as_json, show_events)
    if not measured.exactness.is_exact:
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
    measured = measure_freshness(settings, probes)
    tell(measured, as_json, show_freshness)
    if not measured.is_reflected:
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
    measured = measure_fallback(settings, system, seconds)
    tell(measured, as_json, show_fallback)
    if not measured.is_served:
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
    tell(make_world(settings, size, seed), as_json, show_world)


def named(names: Sequence[str]) -> list[Benchmark]:
    """Return benchmarks by name; raises `BadParameter` for one there is not."""
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        raise typer.BadParameter(f"unknown: {', '.join(unknown)}; see `./nova bench list`")
    return [BENCHMARKS[name] for name in names]


def running(data_dir: Path) -> tuple[Settings, System]:
    """Return a system whose stores answer; raises `StartError` when one does not."""
    system = System(data_dir)
    settings = system.settings_to_use(*STORES)
    require_stores(settings)
    return settings, system


def place_of(size: str) -> Path:
    """Return where the system of runs in a world of a size keeps its files."""
    return DEFAULT_DATA_DIR / f"bench-{size}"


def measured_in(
    size: str,
    benchmarks: Sequence[Benchmark],
    name: str,
    is_quick: bool,
    reuse: bool,
    data_dir: Path | None,
) -> Record:
    """Measure on a system of one's own, in a world of a size."""
    with own_system(data_dir or place_of(size), size, reuse=reuse) as (system, loaded):
        world = world_of(system.settings())
        results = all_of(benchmarks, system, is_quick=is_quick)
    kept = record(name, size, results, world=world, is_quick=is_quick)
    kept.loaded = loaded
    return kept


def finish(kept: Record, as_json: bool) -> None:
    """Keep a run and tell of it; raises `Exit` when something was not measured, or lost."""
    say(f"kept in {keep(kept).relative_to(ROOT)}")
    if as_json:
        out.print(msgspec.json.format(msgspec.json.encode(kept)).decode(), markup=False)
    else:
        show_record(kept)
    bad: list[Result] = [each for each in kept.results if each.is_bad]
    for each in bad:
        fail(f"{each.benchmark} {each.status}: {each.why}")
    if bad:
        raise typer.Exit(1)


def tell(told: Report, as_json: bool, show: Callable[[Report], None]) -> None:
    """Print a report as tables, or as one JSON document."""
    if as_json:
        out.print(msgspec.json.format(msgspec.json.encode(told)).decode(), markup=False)
        return
    show(told)


try:
    app()
except ActionableError as exc:
    fail(str(exc))
    sys.exit(1)
