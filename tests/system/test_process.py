"""A child process: found by its pid file whoever started it, and however that one ended."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest

from api.stack.process import ManagedProcess, StartError

ROOT = Path(__file__).parents[2]

# Dies the moment the operating system has made the child.
KILLED_WHILE_STARTING = """
import os, subprocess, sys
from pathlib import Path
from tests.system.test_process import Sleeper

class Fatal(subprocess.Popen):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        os._exit(9)

subprocess.Popen = Fatal
Sleeper(Path(sys.argv[1])).start()
"""


class Sleeper(ManagedProcess):
    """Sleeps."""

    name = "sleeper"

    def command(self) -> Sequence[str]:
        return ["sleep", "60"]

    def answers(self) -> bool:
        return self.is_running()


class Missing(Sleeper):
    """A program that is not there."""

    def command(self) -> Sequence[str]:
        return ["/no/such/program"]


@pytest.fixture
def sleeper(tmp_path: Path) -> Sleeper:
    return Sleeper(tmp_path / 'a "quoted" folder\'s')


def recorded(sleeper: Sleeper) -> psutil.Process:
    deadline = time.monotonic() + 20
    while sleeper.process is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert sleeper.process is not None
    return sleeper.process


def program_of(process: psutil.Process) -> list[str]:
    """Return what runs in a process once the shell that wrote the pid file has become it."""
    deadline = time.monotonic() + 20
    while process.cmdline()[0] == "/bin/sh" and time.monotonic() < deadline:
        time.sleep(0.01)
    return process.cmdline()


def test_another_command_finds_and_stops_it(sleeper: Sleeper):
    sleeper.start()
    process = recorded(Sleeper(sleeper.data_dir))
    assert program_of(process) == ["sleep", "60"]
    Sleeper(sleeper.data_dir).stop()
    assert not sleeper.is_running()


def test_a_server_whose_starter_is_killed_at_once_is_found(sleeper: Sleeper):
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_WHILE_STARTING, str(sleeper.data_dir)],
        cwd=ROOT,
        check=False,
        timeout=60,
    )
    assert killed.returncode == 9
    process = recorded(sleeper)
    sleeper.stop()
    assert not process.is_running()


def test_a_number_given_to_somebody_else_is_not_ours(sleeper: Sleeper):
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as stranger:
        sleeper.data_dir.mkdir()
        sleeper.pid_path.write_text(str(stranger.pid))
        earlier = time.time() - 60
        os.utime(sleeper.pid_path, (earlier, earlier))
        assert sleeper.process is None
        sleeper.end_leftovers()
        sleeper.kill()
        assert stranger.poll() is None
        stranger.kill()


def test_a_program_that_is_not_there_says_so(tmp_path: Path):
    with pytest.raises(StartError, match="/no/such/program"):
        Missing(tmp_path).start()
