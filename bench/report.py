"""The figures of docs/performance.md: tables and plots made of published results."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from msgspec import Struct

from api.actionable import ActionableError
from bench.measure import Figure
from bench.results import PUBLISHED, ROOT, Record, Result, read

PAGE = ROOT / "docs" / "performance.md"
PLOTS = ROOT / "docs" / "plots"
BEGIN = "<!-- made by ./nova bench report: change nothing between these lines -->"
END = "<!-- end of what is made -->"

SIZES = ("S", "M", "L", "XL")  # smallest first
SHOWN_CORES = 0.01
LARGEST_TABLES = 6  # told of a world (count)
GROWTH_MOST = 1.5  # of the p95 of a miss, from S to L
MET = {True: "met", False: "**missed**"}
GROWTH = (
    ("feed-query", "p50_ms", "query of a miss, p50 ms"),
    ("feed-query", "p95_ms", "query of a miss, p95 ms"),
    ("feed-query", "naive_p95_ms", "naive query, p95 ms"),
    ("feed-query", "rows_read_most", "rows read by a query, at most"),
    ("feed-miss", "p95_1_ms", "miss through HTTP, 1 client, p95 ms"),
    ("feed-miss", "p95_8_ms", "miss through HTTP, 8 clients, p95 ms"),
    ("rank-candidates", "p95_ms", "ranking 10,000 candidates, p95 ms"),
    ("refresh", "all_ms", "refreshing all that is precomputed, ms"),
    ("landing", "events_per_second", "landing, events a second"),
    ("memory", "all_mib", "memory of everything, MiB"),
)


class ReportError(ActionableError):
    """Nothing to report, or nowhere to write it; the message says which."""


class Found(Struct, frozen=True):
    """A result and the run it is of."""

    run: Record
    result: Result


class Published:
    """Results by benchmark and size, the latest of each; tries and failures are left out."""

    def __init__(self, records: Iterable[Record]) -> None:
        self._found: dict[tuple[str, str], Found] = {}
        for run in sorted(records, key=lambda each: each.at):
            for result in run.results:
                if not run.is_quick and result.status in ("measured", "wrong"):
                    self._found[result.benchmark, run.size] = Found(run, result)

    @property
    def sizes(self) -> list[str]:
        """Sizes there are results of, smallest first."""
        return [size for size in SIZES if any(found == size for _, found in self._found)]

    @property
    def benchmarks(self) -> list[str]:
        """Benchmarks there are results of."""
        return list(dict.fromkeys(name for name, _ in self._found))

    def of(self, benchmark: str, size: str) -> Found | None:
        """Return the latest result of a benchmark in a world of a size."""
        return self._found.get((benchmark, size))

    def largest(self, benchmark: str) -> Found | None:
        """Return the latest result in the largest world."""
        found = (self.of(benchmark, size) for size in reversed((*SIZES, "")))
        return next((each for each in found if each), None)

    def value(self, benchmark: str, size: str, value: str) -> float | None:
        """Return one number of a result, None where there is none."""
        found = self.of(benchmark, size)
        return found.result.values.get(value) if found else None


def published(folder: Path = PUBLISHED) -> Published:
    """Read what is published; raises `ReportError` when there is nothing."""
    records = [read(path) for path in sorted(folder.glob("*.json"))]
    if not records:
        raise ReportError("nothing is published yet: `./nova bench report bench/results/….json`")
    return Published(records)


def publish(files: Sequence[Path], folder: Path = PUBLISHED) -> None:
    """Keep the results of runs for the documents; raises `ReportError` for a quick run."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in files:
        if read(path).is_quick:
            raise ReportError(f"{path.name} is of a quick run: no figures to publish")
        if path.resolve().parent != folder.resolve():
            shutil.copy(path, folder / path.name)


# ---------- as Markdown


def number(value: float | None) -> str:
    """Write a figure with as many digits as it deserves."""
    if value is None:
        return "not measured"
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def circumstances(found: Published) -> str:
    """Say what the figures were taken on."""
    largest = [each for name in found.benchmarks for each in [found.largest(name)] if each]
    runs = {each.run.at: each.run for each in largest}
    rows = []
    for run in runs.values():
        machine = run.machine
        tables = sorted(run.world.items(), key=lambda item: -item[1])[:LARGEST_TABLES]
        rows.append(
            [
                run.at,
                run.commit,
                run.size or "as it was",
                f"{machine.cores} cores of {machine.processor}, {machine.memory_gib} GiB, "
                f"{machine.system}, Python {machine.python}",
                ", ".join(f"{count:,} {name}" for name, count in tables),
            ]
        )
    return table(["run (UTC)", "commit", "world", "machine", "rows landed, largest tables"], rows)


def goals(found: Published) -> str:
    """Tell of every goal what was found."""
    rows = [
        [
            name,
            verdict.goal.value,
            verdict.goal.words,
            number(verdict.found),
            MET[verdict.is_met],
            each.run.size or "as it was",
        ]
        for name in found.benchmarks
        for each in [found.largest(name)]
        if each
        for verdict in each.result.verdicts
    ]
    for name, value in (("feed-query", "p95_ms"), ("feed-miss", "p95_1_ms")):
        small, large = found.value(name, "S", value), found.value(name, "L", value)
        if small and large:
            ratio = large / small
            bound = f"<= {GROWTH_MOST}"
            met = MET[ratio <= GROWTH_MOST]
            rows.append([name, f"{value}, L / S", bound, number(ratio), met, "S and L"])
    return table(["benchmark", "value", "goal", "found", "", "world"], rows)


def figures(each: Found) -> str:
    """Tell the latencies of one benchmark."""

    def row(figure: Figure) -> list[str]:
        asked = f" of {figure.asked_per_second:,.0f}" if figure.asked_per_second else ""
        return [
            f"{figure.name}: {figure.what}",
            f"{figure.loop}, {figure.clients:,}" if figure.loop == "closed" else "open",
            f"{figure.requests:,}",
            f"{figure.errors:,}",
            f"{figure.per_second:,.0f}{asked}",
            number(figure.p50_ms),
            number(figure.p95_ms),
            number(figure.p99_ms),
        ]

    return table(
        ["", "loop, clients", "requests", "errors", "a second", "p50 ms", "p95 ms", "p99 ms"],
        [row(figure) for figure in each.result.figures],
    )


def section(each: Found) -> str:
    """Tell what one benchmark found."""
    result = each.result
    lines = [f"#### {result.benchmark}", "", f"Reference: {result.reference}."]
    if result.status == "wrong":
        lines += ["", f"**Wrong: {result.why}.**"]
    if result.figures:
        lines += ["", figures(each)]
    else:
        values = [[name, number(value)] for name, value in result.values.items()]
        lines += ["", table(["value", "found"], values)]
    used = ", ".join(f"{n} {c:.2f}" for n, c in result.cores.items() if c >= SHOWN_CORES)
    lines += ["", f"Cores: {used}. Load before it: {result.load_average}."]
    return "\n".join(lines)


def memory(found: Published) -> str:
    """Tell the memory of each process: most in any benchmark of the largest world, and budget."""
    size = found.sizes[-1] if found.sizes else ""
    most: dict[str, float] = {}
    for name in found.benchmarks:
        each = found.of(name, size)
        for process, mib in (each.result.memory_mib if each else {}).items():
            most[process] = max(most.get(process, 0.0), mib)
    loaded = found.of("memory", size)
    verdicts = loaded.result.verdicts if loaded else []
    budgets = {verdict.goal.value: verdict.goal.bound for verdict in verdicts}
    rows = [
        [
            process,
            number(found.value("memory", size, f"{process}_mib")),
            number(mib),
            number(budgets.get(f"{process}_mib")),
        ]
        for process, mib in most.items()
    ]
    head = ["process", "at 300 requests/s, MiB", "most in any benchmark, MiB", "budget, MiB"]
    return table(head, rows)


def growth(found: Published) -> str:
    """Tell what changes with the size of a world."""
    rows = [
        [words, *(number(found.value(name, size, value)) for size in found.sizes)]
        for name, value, words in GROWTH
        if any(found.value(name, size, value) is not None for size in found.sizes)
    ]
    return table(["", *found.sizes], rows)


def soaked(found: Published) -> str:
    """Tell what a long run watched."""
    each = found.largest("soak")
    if each is None:
        return "Not run yet: `./nova bench soak --minutes 30`."
    rows = [
        [
            one["name"],
            number(one["first"]),
            number(one["last"]),
            number(one["per_hour"]),
            "**yes**" if one["grows"] else "no",
        ]
        for one in each.result.details
    ]
    return table(["", "after warming up", "at the end", "line, per hour", "grows"], rows)


def page(found: Published, plots: Sequence[str]) -> str:
    """Return the part of the page that is made."""
    pictures = "\n".join(f"![{name.replace('-', ' ')}](plots/{name}.svg)" for name in plots)
    told = [found.largest(name) for name in found.benchmarks if name != "soak"]
    sections = "\n\n".join(section(each) for each in told if each)
    return f"""### Goals

{goals(found)}

{circumstances(found)}

### Growth

{growth(found)}

{pictures}

### Memory

{memory(found)}

### A long run

{soaked(found)}

### Each benchmark

{sections}"""


def write(text: str, path: Path = PAGE) -> None:
    """Put the made part in its place; raises `ReportError` when the page has none."""
    whole = path.read_text()
    if BEGIN not in whole or END not in whole:
        raise ReportError(f"{path.name} has no place for what is made: `{BEGIN}` … `{END}`")
    before, _, rest = whole.partition(BEGIN)
    _, _, after = rest.partition(END)
    path.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")
