"""`./nova bench list`, `./nova bench run NAME`, `./nova bench all`: on the running system."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated

import msgspec
import typer
from rich.table import Table

from api.cli.console import DEFAULT_DATA_DIR, AsJson, DataDir, err, out, say
from api.settings import Settings
from api.stack.status import require_stores
from api.stack.system import STORES, System
from bench.feed import feed_hit, feed_miss, feed_query
from bench.measure import Figure, circumstances, keep

BENCHMARKS: Mapping[str, Callable[[Settings], list[Figure]]] = {
    "feed-query": feed_query,
    "feed-miss": feed_miss,
    "feed-hit": feed_hit,
}

app = typer.Typer(name="nova bench", no_args_is_help=True, add_completion=False)


@app.command("list")
def list_benchmarks() -> None:
    """Say what can be measured."""
    for name, benchmark in BENCHMARKS.items():
        out.print(f"{name:12} {(benchmark.__doc__ or '').strip()}", markup=False)


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
    settings = System(data_dir).settings_to_use(*STORES)
    require_stores(settings)
    figures: list[Figure] = []
    for name in names:
        say(f"measuring {name}")
        measured = BENCHMARKS[name](settings)
        path = keep(name, measured)
        say(f"kept in {path.relative_to(path.parents[2])}")
        figures += measured
    show(figures, as_json)


@app.command("all")
def run_all(data_dir: DataDir = DEFAULT_DATA_DIR, as_json: AsJson = False) -> None:
    """Measure everything."""
    run(list(BENCHMARKS), data_dir, as_json)


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


app()
