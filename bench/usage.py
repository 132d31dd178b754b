"""Processor time: of each process of the system, of clients, and of everything else here."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping

import psutil

from api.stack.system import System


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


def machine_seconds() -> float:
    """Return the processor time spent on anything at all (guests are in `user` already)."""
    times = psutil.cpu_times()
    return float(
        sum(getattr(times, kind, 0.0) for kind in ("user", "nice", "system", "irq", "softirq"))
    )


class Usage:
    """Cores used since it was made, by name of the process."""

    def __init__(self, system: System) -> None:
        self._processes = {
            process.name: process.process for process in system.processes() if process.process
        }
        self._before = self._seconds()
        self._machine_before = machine_seconds()
        self._began = time.perf_counter()

    def _seconds(self) -> dict[str, float]:
        return {name: tree_seconds(process) for name, process in self._processes.items() if process}

    def cores(self, client_seconds: float) -> Mapping[str, float]:
        """Return cores by name; `client` used so many seconds, `others` is what is not ours."""
        passed = time.perf_counter() - self._began
        ours = {name: after - self._before[name] for name, after in self._seconds().items()}
        ours["client"] = client_seconds
        others = machine_seconds() - self._machine_before - sum(ours.values())
        shown = {**ours, "others": max(0.0, others)}
        return {name: round(seconds / passed, 2) for name, seconds in shown.items()}
