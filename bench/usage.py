"""Processor time and memory: of each process of the system, of clients, of everything else."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Mapping, Sequence
from types import TracebackType

import psutil

from api.stack.system import System

SAMPLED_EVERY_SECONDS = 2.0
MIB = 2**20
SERVING = ("api", "redis", "clickhouse", "postgres")


def tree_seconds(process: psutil.Process) -> float:
    """Return the processor time of a process and everything it started, ended children too."""
    total = 0.0
    with contextlib.suppress(psutil.Error):
        for member in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                times = member.cpu_times()
                total += times.user + times.system
                total += times.children_user + times.children_system
    return total


def tree_mib(process: psutil.Process) -> float:
    """
    Return the memory of a process and everything it started (MiB).

    Pages that several share, such as the buffers of Postgres, count once in all.
    """
    total = 0
    with contextlib.suppress(psutil.Error):
        for member in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                full = member.memory_full_info()
                total += getattr(full, "pss", full.rss)
    return total / MIB


def machine_seconds() -> float:
    """Return the processor time spent on anything at all (guests are in `user` already)."""
    times = psutil.cpu_times()
    return float(
        sum(getattr(times, kind, 0.0) for kind in ("user", "nice", "system", "irq", "softirq"))
    )


def processes_of(system: System) -> dict[str, psutil.Process]:
    """Return the processes of a system that run, by name."""
    found = {process.name: process.process for process in system.processes()}
    return {name: process for name, process in found.items() if process is not None}


def memory_mib(system: System) -> dict[str, float]:
    """Return the memory of each process of a system now (MiB)."""
    return {name: round(tree_mib(each), 1) for name, each in processes_of(system).items()}


class Usage:
    """Cores used since it was made, by name of the process."""

    def __init__(self, system: System) -> None:
        self._processes = processes_of(system)
        self._before = self._seconds()
        self._machine_before = machine_seconds()
        self._began = time.perf_counter()

    def _seconds(self) -> dict[str, float]:
        return {name: tree_seconds(process) for name, process in self._processes.items()}

    def seconds(self) -> dict[str, float]:
        """Return the processor time used since by each process (seconds)."""
        return {name: after - self._before[name] for name, after in self._seconds().items()}

    def cores(self, client_seconds: float) -> Mapping[str, float]:
        """Return cores by name; `client` used so many seconds, `others` is what is not ours."""
        passed = time.perf_counter() - self._began
        ours = self.seconds()
        ours["client"] = client_seconds
        others = machine_seconds() - self._machine_before - sum(ours.values())
        shown = {**ours, "others": max(0.0, others)}
        return {name: round(seconds / passed, 2) for name, seconds in shown.items()}


def cpu_ms_each(stretches: Sequence[Mapping[str, float]], count: int) -> dict[str, float]:
    """Return processor time by request as values: of the API, its stores, and everything."""
    used = {
        name: sum(seconds[name] for seconds in stretches) / count * 1000 for name in stretches[0]
    }
    return {f"cpu_{name}_ms": used.get(name, 0.0) for name in SERVING} | {
        "cpu_ms": sum(used.values())
    }


class Watch:
    """Processor time and the most memory of a system while a block runs."""

    def __init__(self, system: System) -> None:
        self.cores: dict[str, float] = {}
        self.memory_mib: dict[str, float] = {}
        self._system = system
        self._stop = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Watch:
        """Begin."""
        self._usage = Usage(self._system)
        self._own_before = tree_seconds(psutil.Process())
        self._sampler.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Sum up."""
        self._stop.set()
        self._sampler.join()
        self._note()
        self.cores = dict(self._usage.cores(tree_seconds(psutil.Process()) - self._own_before))

    def _sample(self) -> None:
        while not self._stop.wait(SAMPLED_EVERY_SECONDS):
            self._note()

    def _note(self) -> None:
        for name, mib in memory_mib(self._system).items():
            self.memory_mib[name] = max(self.memory_mib.get(name, 0.0), mib)
