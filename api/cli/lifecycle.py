"""`up`, `down`, `status`, `reset`: the life of the system on one machine."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

import msgspec
import psutil
import typer
from rich.table import Table

from api.auth import issue_token
from api.cli.console import DEFAULT_DATA_DIR, AsJson, DataDir, err, fail, out, say, step
from api.importing.sample import generate_sample, is_empty
from api.settings import Settings
from api.stack.migrations import migrate_all
from api.stack.ranking import build_ranking, refresh_ranking
from api.stack.status import require_stores, status_of
from api.stack.system import AlreadyRunningError, Identity, System, given_variables
from api.workers.landing import land_until_settled

SAMPLE_VIEWER = 42


class Sample(StrEnum):
    """What `up` puts into an empty database."""

    small = "small"
    none = "none"


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(up)
    app.command()(down)
    app.command()(status)
    app.command()(reset)


def up(
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Return when it serves.")] = False,
    sample: Annotated[Sample, typer.Option(help="World for an empty database.")] = Sample.small,
    port: Annotated[int | None, typer.Option(help="Port of the API.", min=1, max=65535)] = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Start everything: databases, ranking models, sample, workers, API."""
    system = System(data_dir)
    if system.holder() is not None:
        say(f"already running in {system.data_dir}; `./nova status` shows it")
        if system.ready_path.exists():
            greet(system)
        return
    if detach:
        start_detached(system, sample, port)
        return
    signal.signal(signal.SIGTERM, interrupt)
    try:
        with system.hold():
            bring_up(system, sample, port)
    except AlreadyRunningError as exc:
        say(str(exc))


def interrupt(*_: object) -> None:
    """Treat SIGTERM as Ctrl-C: both stop everything in order."""
    raise KeyboardInterrupt


def bring_up(system: System, sample: Sample, port: int | None) -> None:
    """Start, serve until interrupted, stop."""
    try:
        if system.stop():
            say("stopped what an earlier `up` left behind")
        identity = system.identity() or Identity.new()
        identity.variables = given_variables()
        system.choose_ports(identity, port)
        with step("databases"):
            system.start_servers(identity)
        settings = Settings.from_environ(system.environment(identity))
        require_stores(settings)
        with step("migrations"):
            migrate_all(settings)
        with step("ranking models"):
            build_ranking(settings.clickhouse_url, system.data_dir)
        if sample is Sample.small and is_empty(settings):
            with step("sample world"):
                generate_sample(settings)
                land_until_settled(settings)
                refresh_ranking(settings.clickhouse_url)
        with step("API and workers"):
            for program in system.programs(identity):
                program.start()
        system.ready_path.write_text(str(os.getpid()))
        greet(system)
        system.watch(say)
    except KeyboardInterrupt:
        say("")
    finally:
        # A second Ctrl-C must not leave half of it running.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        system.ready_path.unlink(missing_ok=True)
        system.stop(say)


def start_detached(system: System, sample: Sample, port: int | None) -> None:
    """Run `up` in the background; return when it serves, exit 1 with its words when it fails."""
    system.data_dir.mkdir(parents=True, exist_ok=True)
    log_path = system.data_dir / "up.log"
    arguments = ["up", "--sample", sample.value, "--data-dir", str(system.data_dir)]
    if port is not None:
        arguments += ["--port", str(port)]
    # It ends with a token, as `greet` prints it.
    with open(log_path, "wb", opener=only_for_owner) as log:
        child = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "api", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    shown = 0
    while True:
        ended = child.poll() is not None
        ready = system.ready_path.exists()
        words = log_path.read_bytes()
        sys.stderr.write(words[shown:].decode(errors="replace"))
        sys.stderr.flush()
        shown = len(words)
        if ended:
            raise typer.Exit(child.returncode or 1)
        if ready and b"curl" in words:
            return
        time.sleep(0.1)


def only_for_owner(path: str, flags: int) -> int:
    """Open a file nobody else may read, one that is there already included."""
    descriptor = os.open(path, flags, 0o600)
    os.fchmod(descriptor, 0o600)
    return descriptor


def greet(system: System) -> None:
    """Print where it is and how to ask it."""
    settings = system.settings()
    token = issue_token(settings, user_id=SAMPLE_VIEWER, ttl_seconds=86_400)
    err.print(f"\nNova Feed serves on [bold]{settings.public_base_url}[/bold]", markup=True)
    say(f"  API page   {settings.public_base_url}/schema")
    say("  stop       ./nova down")
    say(f"\nA feed of viewer {SAMPLE_VIEWER} (the token is good for a day):\n")
    say(f"curl -s -H 'Authorization: Bearer {token}' {settings.public_base_url}/api/v1/reels\n")


def down(data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Stop everything, last started first."""
    system = System(data_dir)
    holder = system.holder()
    if holder is not None:
        try:
            process = psutil.Process(holder)
            process.terminate()
            with step("stopping"):
                process.wait(150)
        except psutil.NoSuchProcess:
            pass
        except psutil.TimeoutExpired:
            fail(f"process {holder} does not end; stopping its servers")
            process.kill()
    left = system.stop(say)
    say("stopped" if left or holder is not None else "nothing was running")


def status(data_dir: DataDir = DEFAULT_DATA_DIR, as_json: AsJson = False) -> None:
    """Show each process, its port, its health, and how far ClickHouse is behind Postgres."""
    report = status_of(System(data_dir))
    if as_json:
        out.print(msgspec.json.format(msgspec.json.encode(report)).decode(), markup=False)
    else:
        table = Table("process", "port", "pid", "health", "what")
        for line in report.processes:
            colour = "green" if line.healthy else "red"
            table.add_row(
                line.name,
                str(line.port or ""),
                str(line.pid or ""),
                f"[{colour}]{line.health}[/{colour}]",
                line.what,
            )
        out.print(table)
        for lag in report.landing:
            out.print(f"{lag.table}: {lag.lag_ms} ms behind", markup=False)
        for drift in report.counters:
            out.print(
                f"counters of {drift.item_type}s: {drift.compared} compared,"
                f" {drift.drifted} had drifted, {drift.repaired} repaired,"
                f" {drift.ahead} ahead; {drift.lag_ms} ms behind",
                markup=False,
            )
        for state in report.embeddings:
            failed = {name: n for name, n in state.batches.items() if name != "answered"}
            out.print(
                f"embeddings of {state.model_version}: {state.stored} stored, {state.left} left"
                f"{told(', failed batches', failed)}{told(', refused vectors', state.refused)}"
                f"{', the model server is left alone' if state.is_open else ''}",
                markup=False,
            )
    if not report.healthy:
        raise typer.Exit(1)


def told(what: str, counts: Mapping[str, int]) -> str:
    """Say how many of what there were, by their names; nothing when there were none."""
    return f"{what}: {', '.join(f'{n} {name}' for name, n in counts.items())}" if counts else ""


def reset(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Stop everything and delete the data directory."""
    system = System(data_dir)
    if not system.data_dir.exists():
        say("nothing to reset")
        return
    if not (system.data_dir / "identity.json").exists() and any(system.data_dir.iterdir()):
        fail(f"{system.data_dir} was not made by `up`; it stays")
        raise typer.Exit(1)
    if not yes:
        typer.confirm(f"Delete all data in {system.data_dir}?", abort=True)
    down(data_dir)
    shutil.rmtree(system.data_dir)
    say(f"deleted {system.data_dir}")
