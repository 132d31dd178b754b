"""Carrying out benchmarks: one after the other, each bounded in time, none stopping the next."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from api.cli.console import say
from api.settings import Settings
from api.stack.system import System
from bench.place import environment
from bench.registry import Benchmark, Measured, NotHereError, Run
from bench.results import ROOT, Record, Result, Status
from bench.usage import Watch

KILL_SECONDS = 10.0
START_SECONDS = 30.0  # of a process, and of preparing what is sent


def carry_out(
    benchmark: Benchmark, settings: Settings, system: System, *, is_quick: bool
) -> Result:
    """Measure one thing; whatever it raises becomes part of the result."""
    began_at, began = datetime.now(UTC), time.perf_counter()
    load = os.getloadavg()[0]
    watch = Watch(system)
    measured, status, why = Measured(), "failed", ""
    with tempfile.TemporaryDirectory(prefix="nova-bench-") as folder:
        try:
            with watch:
                measured = benchmark.measure(Run(settings, system, Path(folder), is_quick))
            status, why = ("wrong", measured.wrong) if measured.wrong else ("measured", "")
        except NotHereError as exc:
            status, why = "skipped", str(exc)
        except (Exception, SystemExit) as exc:
            why = f"{type(exc).__name__}: {exc}"
            measured.notes = traceback.format_exc().splitlines()[-12:]
    return Result(
        benchmark=benchmark.name,
        status=msgspec.convert(status, Status),
        why=why,
        reference=benchmark.reference,
        began_at=began_at.isoformat(timespec="seconds"),
        seconds=round(time.perf_counter() - began, 1),
        load_average=round(load, 2),
        figures=measured.figures,
        values={name: round(value, 4) for name, value in measured.values.items()},
        verdicts=benchmark.verdicts(measured.values) if status in ("measured", "wrong") else [],
        notes=measured.notes,
        details=msgspec.to_builtins(measured.details),
        cores=watch.cores,
        memory_mib=watch.memory_mib,
    )


def in_its_own_process(benchmark: Benchmark, system: System, *, is_quick: bool) -> Result:
    """Have another process measure one thing, and end it, and all it started, when time is up."""
    began_at, began = datetime.now(UTC), time.perf_counter()
    limit = benchmark.limit_seconds + START_SECONDS
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="nova-bench-") as folder:
        path = Path(folder) / "result.json"
        arguments = ["run", benchmark.name, "--data-dir", str(system.data_dir), "--into", str(path)]
        with subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "bench", *arguments, *(["--quick"] if is_quick else [])],
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.DEVNULL,
            # What is written there is a log; results alone go to our stdout.
            stdout=sys.stderr,
            start_new_session=True,
        ) as child:
            try:
                child.wait(limit)
                why = f"ended with {child.returncode} and told nothing"
            except subprocess.TimeoutExpired:
                why = f"took more than {limit:.0f} s"
            finally:
                end_group(child)
        told = path.read_bytes() if path.exists() else b""
    try:
        (result,) = msgspec.json.decode(told, type=Record).results
    except (msgspec.MsgspecError, ValueError):
        return Result(
            benchmark=benchmark.name,
            status="failed",
            why=why,
            reference=benchmark.reference,
            began_at=began_at.isoformat(timespec="seconds"),
            seconds=round(time.perf_counter() - began, 1),
            load_average=round(load, 2),
        )
    return result


def end_group(child: subprocess.Popen[bytes]) -> None:
    """End a process that leads a group, and the clients it may have left."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(child.pid, number)
        except ProcessLookupError:
            return
        try:
            child.wait(KILL_SECONDS)
        except subprocess.TimeoutExpired:
            continue


def all_of(benchmarks: Sequence[Benchmark], system: System, *, is_quick: bool) -> list[Result]:
    """Measure everything, each in a process of its own."""
    results = []
    for benchmark in benchmarks:
        say(f"measuring {benchmark.name}: {benchmark.what}")
        result = in_its_own_process(benchmark, system, is_quick=is_quick)
        words = f"  {result.status} in {result.seconds:.0f} s"
        say(f"{words}: {result.why.splitlines()[0]}" if result.why else words)
        results.append(result)
    return results
