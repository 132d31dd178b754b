"""A run, for a person: figures, goals met and missed, and what was used meanwhile."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from bench.results import Record, Result

SHOWN_CORES = 0.01

# Narrower, a table says nothing; who reads it in a log has no width.
wide = Console(highlight=False, width=140)


def show_record(kept: Record) -> None:
    """Print a run."""
    machine = kept.machine
    wide.print(
        f"{kept.at}, commit {kept.commit}, {machine.cores} cores ({machine.processor}), "
        f"{machine.memory_gib} GiB{', QUICK: no figures to quote' if kept.is_quick else ''}",
        markup=False,
    )
    for result in kept.results:
        show_result(result)
    goals = Table("goal", "of", "found", "")
    for result in kept.results:
        for verdict in result.verdicts:
            goals.add_row(
                f"{verdict.goal.value} {verdict.goal.words}",
                result.benchmark,
                "not measured" if verdict.found is None else f"{verdict.found:,.3g}",
                "met" if verdict.is_met else "MISSED",
            )
    if goals.row_count:
        wide.print(goals)


def show_result(result: Result) -> None:
    """Print what one benchmark found."""
    title = f"{result.benchmark}: {result.status}{f', {result.why}' if result.why else ''}"
    if not result.figures:
        values = ", ".join(f"{name} {value:,.4g}" for name, value in result.values.items())
        wide.print(f"{title}; {values}" if values else title, markup=False)
    else:
        table = Table(
            result.benchmark,
            "loop",
            "clients",
            "requests",
            "errors",
            "a second",
            "p50",
            "p95",
            "p99 (ms)",
            title=title,
            title_justify="left",
        )
        for figure in result.figures:
            table.add_row(
                figure.name,
                figure.loop,
                *(f"{n:,}" for n in (figure.clients, figure.requests, figure.errors)),
                f"{figure.per_second:,.0f}",
                *(f"{ms:,.1f}" for ms in (figure.p50_ms, figure.p95_ms, figure.p99_ms)),
            )
        wide.print(table)
    for figure in result.figures:
        if figure.errors:
            answers = ", ".join(f"{count:,} {answer}" for answer, count in figure.answers.items())
            wide.print(f"  {figure.name}: {answers}", markup=False)
    used = ", ".join(
        f"{name} {cores:.2f}" for name, cores in result.cores.items() if cores >= SHOWN_CORES
    )
    held = ", ".join(f"{name} {mib:,.0f}" for name, mib in result.memory_mib.items())
    if used:
        wide.print(f"  cores: {used}; memory (MiB): {held}", markup=False)
    for note in result.notes:
        wide.print(f"  {note}", markup=False)
