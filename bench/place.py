"""A system of a run's own: in a folder of its own, on free ports, stopped when the run ends."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import msgspec

from api.actionable import ActionableError
from api.cli.console import step
from api.settings import PREFIX
from api.stack.ports import free_port
from api.stack.system import ROOT, System

UP_SECONDS = 300.0
DOWN_SECONDS = 200.0
# Of loading the world of a size, the longest.
LOAD_SECONDS = 1_200.0

# What stands in the folder when the world is in it whole.
LOADED = "world.json"


class PlaceError(ActionableError):
    """A system of a run's own did not start, or its world was not loaded."""


def environment() -> dict[str, str]:
    """Return ours without the settings of another system."""
    return {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}


def command(
    module: str, arguments: Sequence[str], seconds: float, log: Path, told: Path | None = None
) -> None:
    """
    Run one of our programs; raises `PlaceError` with the end of what it said.

    What it tells on stdout becomes the file `told`, when that is given.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as files:
        written = files.enter_context(log.open("ab"))
        result = files.enter_context(told.open("wb")) if told else written
        try:
            ended = subprocess.run(  # noqa: S603
                [sys.executable, "-m", module, *arguments],
                cwd=ROOT,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=result,
                stderr=written,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as exc:
            raise PlaceError(f"{module} {arguments[0]} took more than {seconds:.0f} s") from exc
    if ended.returncode:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise PlaceError(f"{module} {arguments[0]} failed:\n{tail}")


@contextlib.contextmanager
def own_system(data_dir: Path, size: str, *, reuse: bool) -> Iterator[tuple[System, object]]:
    """
    Start a system, load the world of a size, and stop it at the end; yields what loading took.

    With `reuse` a world that is there is taken as earlier runs left it. The folder stays.
    """
    system = System(data_dir)
    folder = ["--data-dir", str(system.data_dir)]
    log = system.data_dir / "bench.log"
    loaded = system.data_dir / LOADED
    if system.holder() is not None:
        raise PlaceError(f"a system runs in {system.data_dir}; `./nova down --data-dir …` ends it")
    if system.data_dir.exists() and not (reuse and loaded.exists()):
        # Only what `up` made is deleted.
        if not system.identity_path.exists() and any(system.data_dir.iterdir()):
            raise PlaceError(f"{system.data_dir} was not made by `up`; choose another folder")
        system.stop()
        shutil.rmtree(system.data_dir)
    try:
        with step(f"starting a system in {system.data_dir}"):
            # What `up --detach` starts runs on; only starting it is waited for.
            command(
                "api",
                ["up", "--detach", "--sample", "none", "--port", str(free_port()), *folder],
                UP_SECONDS,
                log,
            )
        if not loaded.exists():
            with step(f"loading the world of size {size}"):
                draft = loaded.with_suffix(".new")
                arguments = ["world", "--size", size, "--json", *folder]
                command("bench", arguments, LOAD_SECONDS, log, draft)
                draft.replace(loaded)
        yield system, msgspec.json.decode(loaded.read_bytes())
    finally:
        with step("stopping"):
            command("api", ["down", *folder], DOWN_SECONDS, log)
