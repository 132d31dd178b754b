"""One child process: started, waited for until it answers, stopped, or killed."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from api.actionable import ActionableError

# `exec` keeps the pid, so what the shell writes is the server's.
RECORD_PID = 'echo $$ >"$0" && exec "$@"'

# When a process was made is reckoned from the boot, and moves when the clock is set.
CLOCK_SLACK_SECONDS = 10.0


class StartError(ActionableError):
    """A server did not come up; the message ends with the last lines of its log."""


class ManagedProcess(ABC):
    """
    A server in a child process, its log beside its data.

    `start` returns when the server answers, `stop` when it is gone. Both may be called twice.
    A pid file carries the process over to another command (`./nova down` after `up --detach`).
    The child writes it before it becomes the server: however early we are killed, no server is
    without one.
    """

    name: str
    start_seconds: float = 60.0
    stop_seconds: float = 30.0
    stop_signal: signal.Signals = signal.SIGTERM

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir.resolve()
        self._child: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self) -> Sequence[str]:
        """Return the program and its arguments."""

    @abstractmethod
    def answers(self) -> bool:
        """Say whether the server takes requests; must return within a second or so."""

    def environment(self) -> Mapping[str, str]:
        """Return variables for the child, on top of ours."""
        return {}

    def prepare(self) -> None:  # noqa: B027  most need nothing
        """Make what the server needs before it starts."""

    def run_as(self) -> int | None:
        """Return the uid the child runs as; None keeps ours."""
        return None

    @property
    def log_path(self) -> Path:
        """Where the child's output goes."""
        return self.data_dir / f"{self.name}.log"

    @property
    def pid_path(self) -> Path:
        """Where the child's pid is kept."""
        return self.data_dir / f"{self.name}.pid"

    @property
    def process(self) -> psutil.Process | None:
        """The running process, ours or one found by its pid file; None when it is gone."""
        leader = self._leader()
        try:
            process = None if leader is None else psutil.Process(leader)
            return process if process and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.Error:
            return None

    def _leader(self) -> int | None:
        """Return the pid of the last child, which may be gone; None when it is no longer ours."""
        try:
            written = self.pid_path.stat().st_mtime
            pid = int(self.pid_path.read_text())
        except (OSError, ValueError):
            return None
        try:
            # Whoever was given the number after our child is younger than the file.
            is_ours = psutil.Process(pid).create_time() <= written + CLOCK_SLACK_SECONDS
        except psutil.NoSuchProcess:
            return pid
        return pid if is_ours else None

    def is_running(self) -> bool:
        """Say whether the process exists; it may not answer yet."""
        return self.process is not None

    def start(self) -> None:
        """Start the server and wait until it answers; raises `StartError`."""
        if self.is_running():
            return
        self.end_leftovers()
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self.prepare()
        self.pid_path.unlink(missing_ok=True)
        uid = self.run_as()
        with self.log_path.open("ab") as log:
            self._child = subprocess.Popen(  # noqa: S603
                ["/bin/sh", "-c", RECORD_PID, str(self.pid_path), *map(str, self.command())],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self.environment()},
                # A group of its own: Ctrl-C reaches us, and we stop children in order.
                start_new_session=True,
                user=uid,
                extra_groups=[] if uid is not None else None,
            )
        self.wait_until_answering()

    def wait_until_answering(self) -> None:
        """Block until the server answers, at most `start_seconds`."""
        deadline = time.monotonic() + self.start_seconds
        while not self.answers():
            if self._child is not None and self._child.poll() is not None:
                self.pid_path.unlink(missing_ok=True)
                raise StartError(f"{self.name} ended while starting:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                self.kill()
                raise StartError(
                    f"{self.name} did not answer in {self.start_seconds:.0f} s:\n{self.log_tail()}"
                )
            time.sleep(0.02)

    def stop(self) -> None:
        """Ask the server to end, wait, and kill it only when it does not."""
        process = self.process
        if process is not None:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(self.stop_signal)
                try:
                    self._wait(process, self.stop_seconds)
                except psutil.TimeoutExpired:
                    self._kill_tree(process)
        self._forget()

    def end_leftovers(self) -> None:
        """
        Kill children that outlived their killed parent: workers that go on serving old code.

        Each server leads a process group of its own. While that group has members its number is
        nobody else's, so a group whose leader is gone can only be ours.
        """
        leader = self._leader()
        if leader is None or self.is_running():
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, signal.SIGKILL)

    def kill(self) -> None:
        """End the server and its children at once, as kill -9 or a power cut would."""
        process = self.process
        if process is not None:
            self._kill_tree(process)
        self._forget()

    def _kill_tree(self, process: psutil.Process) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            family = [process, *process.children(recursive=True)]
            for member in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    member.kill()
            psutil.wait_procs(family, timeout=10)

    def _wait(self, process: psutil.Process, seconds: float) -> None:
        if self._child is not None and self._child.pid == process.pid:
            try:
                self._child.wait(seconds)
            except subprocess.TimeoutExpired as exc:
                raise psutil.TimeoutExpired(seconds, process.pid) from exc
        else:
            process.wait(seconds)

    def _forget(self) -> None:
        if self._child is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(5)
        self.end_leftovers()
        self._child = None
        self.pid_path.unlink(missing_ok=True)

    def log_tail(self, lines: int = 15) -> str:
        """Return the last lines of the server's log."""
        try:
            return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return "(no log)"
