"""Benchmarks run, fail and are told of; what is measured is not asserted."""

from __future__ import annotations

import math
import os
import random
import subprocess
import sys
from pathlib import Path

import msgspec
import psutil
import pytest

from api.stack.system import System
from bench.catalogue import BENCHMARKS
from bench.measure import figure
from bench.registry import Benchmark, Goal, Measured, NotHereError, Run
from bench.report import BEGIN, END, Published, ReportError, page, publish, write
from bench.results import RESULTS, ROOT, Record, Result, keep, read, record
from bench.runs import carry_out
from bench.soak import series_of
from tests.conftest import settings_on


def test_all_runs_in_a_world_of_its_own_and_leaves_nothing_running(server_root: Path) -> None:
    """A system, a world, two benchmarks in processes of their own, and the end of it all."""
    place = server_root / "bench"
    chosen = ("trending", "refresh")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("NOVA_")}

    def program(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", *arguments, "--data-dir", str(place)],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=270,
            check=False,
        )

    only = [f"--only={name}" for name in chosen]
    try:
        ended = program("bench", "all", "--size", "XS", "--quick", "--json", *only)
    except subprocess.TimeoutExpired:
        program("api", "down")
        raise
    assert ended.returncode == 0, ended.stderr[-3000:]
    told = msgspec.json.decode(ended.stdout, type=Record)
    kept = [path for path in RESULTS.glob("*-all-XS.json") if read(path).at == told.at]
    assert len(kept) == 1
    kept[0].unlink()
    assert (told.size, told.is_quick, told.world["videos"]) == ("XS", True, 600)
    assert [result.benchmark for result in told.results] == list(chosen)
    charts = told.result("trending")
    assert charts is not None and charts.status == "measured"
    assert charts.figures[0].requests == sum(charts.figures[0].answers.values()) > 10
    assert {"postgres", "clickhouse", "redis", "api"} <= charts.memory_mib.keys()
    assert {verdict.goal.value for verdict in charts.verdicts} == {"error_share", "p95_ms"}
    refreshed = told.result("refresh")
    assert refreshed is not None and refreshed.values["reel_cards_ms"] > 0
    assert not [process for process in System(place).processes() if process.is_running()]
    assert not [
        process
        for process in psutil.process_iter(["cmdline"])
        if str(place) in " ".join(process.info["cmdline"] or [])
    ]


def measured_by(measure, tmp_path: Path, goals: tuple[Goal, ...] = ()) -> Result:
    benchmark = Benchmark("one", "something", "nothing", measure, goals=goals)
    return carry_out(benchmark, settings_on(), System(tmp_path), is_quick=True)


def test_a_benchmark_that_fails_is_told_and_raises_nothing(tmp_path: Path) -> None:
    def broken(_: Run) -> Measured:
        raise SystemExit("no batch was accepted")

    def elsewhere(_: Run) -> Measured:
        raise NotHereError("no posts here")

    failed = measured_by(broken, tmp_path, goals=(Goal("p95_ms", 5, "ms"),))
    assert (failed.status, failed.why) == ("failed", "SystemExit: no batch was accepted")
    assert failed.is_bad and failed.verdicts == []
    skipped = measured_by(elsewhere, tmp_path)
    assert (skipped.status, skipped.why, skipped.is_bad) == ("skipped", "no posts here", False)
    lost = measured_by(lambda _: Measured(wrong="3 events lost"), tmp_path)
    assert (lost.status, lost.is_bad) == ("wrong", True)


def test_goals_are_held_against_values(tmp_path: Path) -> None:
    goals = (
        Goal("p95_ms", 5, "ms"),
        Goal("rate", 100, "a second", at_least=True),
        Goal("other", 1, "ms"),
    )
    found = measured_by(lambda _: Measured(values={"p95_ms": 5.0, "rate": 99.9}), tmp_path, goals)
    assert [(verdict.found, verdict.is_met) for verdict in found.verdicts] == [
        (5.0, True),
        (99.9, False),
        (None, False),  # what was not measured is not met
    ]
    assert all(goal.bound >= 0 for each in BENCHMARKS.values() for goal in each.goals)


def test_series_grow_when_their_line_rises_and_not_by_noise() -> None:
    chance = random.Random(3)
    times = [10.0 * number for number in range(180)]

    def grows(value) -> bool:
        return series_of("api_mib", times, [value(at) for at in times]).grows

    assert grows(lambda at: 300 + at / 20 + chance.uniform(-5, 5))
    assert not grows(lambda at: 300 + chance.uniform(-20, 20))
    # What fills up in the beginning and then rests, and one peak in the end.
    assert not grows(lambda at: 300 - 200 * math.exp(-at / 60))
    assert not grows(lambda at: 900 if at > 1_750 else 300)


def a_run(size: str, p95_ms: float, *, is_quick: bool = False) -> Record:
    goal = Goal("p95_ms", 20, "ms")
    result = Result(
        benchmark="feed-query",
        status="measured",
        why="",
        reference="a query of joins",
        began_at="2026-01-01T00:00:00+00:00",
        seconds=1.0,
        load_average=0.1,
        figures=[figure("query", "as the API ranks", [p95_ms] * 50, seconds=1.0, clients=1)],
        values={"p95_ms": p95_ms},
        verdicts=BENCHMARKS["feed-query"].verdicts({"p95_ms": p95_ms}),
        cores={"clickhouse": 1.0},
        memory_mib={"clickhouse": 900.0},
    )
    assert any(verdict.goal == goal for verdict in result.verdicts)
    return record("all", size, [result], world={"videos": 600}, is_quick=is_quick)


def test_the_report_says_what_was_found_and_replaces_what_it_made(tmp_path: Path) -> None:
    told = page(Published([a_run("S", 10.0), a_run("L", 31.5)]), ["growth-of-latency"])
    assert "| feed-query | p95_ms | <= 20 ms | 31.5 | **missed** | L |" in told
    assert "| feed-query | p95_ms, L / S | <= 1.5 | 3.15 | **missed** | S and L |" in told
    assert "![growth of latency](plots/growth-of-latency.svg)" in told

    document = tmp_path / "page.md"
    document.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write("new", document)
    assert document.read_text() == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"
    document.write_text("no place")
    with pytest.raises(ReportError):
        write("new", document)


def test_a_quick_run_is_not_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.results.RESULTS", tmp_path)
    published = tmp_path / "published"
    publish([keep(a_run("S", 10.0))], published)
    assert [read(path).size for path in published.iterdir()] == ["S"]
    with pytest.raises(ReportError, match="quick"):
        publish([keep(a_run("M", 10.0, is_quick=True))], published)
