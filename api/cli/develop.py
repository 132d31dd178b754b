"""`test`, `lint`, `dbt`, `sql`, `psql`, `bench`: the tools of those who change it."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Annotated, NoReturn
from urllib.parse import quote, unquote, urlencode, urlsplit

import typer

from api.cli.console import DEFAULT_DATA_DIR, DataDir, fail
from api.settings import PREFIX
from api.stack.dbt import dbt as run_dbt
from api.stack.postgres import programs
from api.stack.system import ROOT, System

# Everything after the verb belongs to the tool, its options too.
PASS_THROUGH = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(sql)
    app.command(context_settings=PASS_THROUGH)(psql)
    app.command(context_settings=PASS_THROUGH)(dbt)
    app.command()(lint)
    app.command(context_settings=PASS_THROUGH)(test)
    app.command(context_settings=PASS_THROUGH)(bench)


def sql(
    statement: Annotated[str, typer.Argument(help="One ClickHouse statement; `-` reads stdin.")],
    output: Annotated[str, typer.Option("--format", help="A ClickHouse format.")] = "PrettyCompact",
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Run a statement in ClickHouse."""
    url = urlsplit(System(data_dir).settings_to_use("clickhouse").clickhouse_url)
    body = sys.stdin.read() if statement == "-" else statement
    request = urllib.request.Request(  # noqa: S310  the scheme is checked by the settings
        f"{url.scheme}://{url.hostname}:{url.port}/?{urlencode({'default_format': output})}",
        data=body.encode(),
        headers={
            "X-ClickHouse-User": unquote(url.username or "default"),
            "X-ClickHouse-Key": unquote(url.password or ""),
        },
    )
    try:
        with urllib.request.urlopen(request) as answer:  # noqa: S310
            while chunk := answer.read(1 << 16):
                sys.stdout.buffer.write(chunk)
        sys.stdout.flush()
    except urllib.error.HTTPError as exc:
        fail(exc.read().decode(errors="replace").strip())
        raise typer.Exit(1) from exc
    except urllib.error.URLError as exc:
        fail("ClickHouse does not answer; `./nova status` shows what runs")
        raise typer.Exit(1) from exc


def psql(context: typer.Context, data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Open psql on Postgres; arguments go to psql."""
    url = urlsplit(System(data_dir).settings_to_use("postgres").postgres_url)
    environment = {
        **os.environ,
        "PGHOST": url.hostname or "127.0.0.1",
        "PGPORT": str(url.port or 5432),
        "PGUSER": unquote(url.username or "postgres"),
        "PGPASSWORD": unquote(url.password or ""),
        "PGDATABASE": quote(url.path.lstrip("/")),
    }
    hand_over([str(programs() / "psql"), *context.args], environment)


def dbt(context: typer.Context, data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Run dbt on the running system: `./nova dbt build -s feed__reels`."""
    settings = System(data_dir).settings_to_use("clickhouse")
    ended = run_dbt(context.args, settings.clickhouse_url, target_path=data_dir.resolve() / "dbt")
    raise typer.Exit(ended.returncode)


def lint() -> None:
    """Check all SQL and Python; needs no database."""
    hand_over(["bash", str(ROOT / ".ci" / "lint.sh")], tool_environment())


def test(context: typer.Context) -> None:
    """Run every test on servers of its own; arguments go to pytest."""
    hand_over(["bash", str(ROOT / ".ci" / "test.sh"), *context.args], tool_environment())


def bench(context: typer.Context) -> None:
    """Measure; `./nova bench list` says what."""
    hand_over([sys.executable, "-m", "bench", *context.args], dict(os.environ))


def tool_environment() -> dict[str, str]:
    """Return our environment with the virtual environment first and no setting of a system."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(PREFIX) or name.startswith(f"{PREFIX}TEST_")
    }
    return {**kept, "PATH": f"{Path(sys.executable).parent}:{kept.get('PATH', '')}"}


def hand_over(command: list[str], environment: dict[str, str]) -> NoReturn:
    """Run a tool in the project's folder and end as it ends."""
    ended = subprocess.run(command, cwd=ROOT, env=environment, check=False)  # noqa: S603
    raise typer.Exit(ended.returncode)
