"""Plots of published results, as SVG that is the same for the same results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from api.actionable import ActionableError
from bench.report import PLOTS, Published

VIDEOS = {"S": 10_000, "M": 100_000, "L": 1_000_000, "XL": 3_000_000}
LATENCIES = (
    ("feed-query", "p95_ms", "query of a miss"),
    ("feed-query", "naive_p95_ms", "naive query"),
    ("feed-miss", "p95_1_ms", "miss through HTTP, 1 client"),
    ("feed-miss", "p95_8_ms", "miss through HTTP, 8 clients"),
)
COSTS = (("refresh", "all_ms", "refreshing everything, ms"),)


def library() -> Any:
    """Return matplotlib, set to make the same file each time; raises when it is not there."""
    try:
        import matplotlib
    except ImportError as exc:
        raise ActionableError("plots need matplotlib: pip install -e '.[bench]'") from exc
    matplotlib.use("svg")
    matplotlib.rcParams.update(
        {"svg.hashsalt": "nova", "svg.fonttype": "none", "axes.grid": True, "grid.alpha": 0.3}
    )
    from matplotlib import pyplot

    return pyplot


def save(pyplot: Any, drawn: Any, name: str, folder: Path) -> str:
    """Write a plot; returns its name."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn.tight_layout()
    drawn.savefig(folder / f"{name}.svg", metadata={"Date": None})
    pyplot.close(drawn)
    return name


def curves(
    pyplot: Any, found: Published, lines: tuple[tuple[str, str, str], ...], title: str
) -> Any | None:
    """Draw values over the number of videos; None when no line has two points."""
    drawn, axes = pyplot.subplots(figsize=(7, 4))
    drawn_lines = 0
    for benchmark, value, label in lines:
        points = [
            (VIDEOS[size], y)
            for size in found.sizes
            if (y := found.value(benchmark, size, value)) is not None
        ]
        if len(points) > 1:
            axes.plot(*zip(*points, strict=True), marker="o", label=label)
            drawn_lines += 1
    axes.set(xscale="log", xlabel="videos", ylabel="ms", title=title, ylim=(0, None))
    if not drawn_lines:
        pyplot.close(drawn)
        return None
    axes.legend()
    return drawn


def memory(pyplot: Any, found: Published) -> Any | None:
    """Draw the memory of a long run over time; None without one."""
    each = found.largest("soak")
    if each is None:
        return None
    drawn, axes = pyplot.subplots(figsize=(7, 4))
    for series in each.result.details:
        if series["name"].endswith("_mib"):
            minutes = [at / 60 for at in series["at_seconds"]]
            axes.plot(minutes, series["values"], label=series["name"].removesuffix("_mib"))
    axes.set(xlabel="minutes", ylabel="MiB", yscale="log", title="Memory during a long run")
    axes.legend(fontsize="small", ncols=2)
    return drawn


def draw(found: Published, folder: Path = PLOTS) -> list[str]:
    """Draw what there are results for; returns the names of the plots."""
    pyplot = library()
    made = (
        ("growth-of-latency", curves(pyplot, found, LATENCIES, "p95 of a miss")),
        ("growth-of-refresh", curves(pyplot, found, COSTS, "Refreshing what is precomputed")),
        ("soak-memory", memory(pyplot, found)),
    )
    return [save(pyplot, drawn, name, folder) for name, drawn in made if drawn is not None]
