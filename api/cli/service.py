"""`serve`, `migrate`: what containers call; settings come from the environment alone."""

from __future__ import annotations

import typer

from api.cli.console import say
from api.serve import serve as serve_api
from api.settings import Settings
from api.stack.migrations import migrate_all


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(serve)
    app.command()(migrate)


def serve() -> None:
    """Run the API only, with settings from the environment."""
    serve_api(Settings.from_environ())


def migrate() -> None:
    """Migrate Postgres and ClickHouse, with settings from the environment."""
    for name in migrate_all(Settings.from_environ()):
        say(f"applied {name}")
