"""The command line: `./nova up`, `down`, `status`, `import`, `test`, …"""

from __future__ import annotations

import sys

import typer

from api.cli import data, develop, lifecycle
from api.cli.console import fail
from api.importing.errors import ImportRefusedError
from api.migrate import MigrationError
from api.settings import SettingsError
from api.stack.process import StartError

app = typer.Typer(
    name="nova",
    help="Ranked feeds whose brain is SQL. Start with `./nova up`.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)

for module in (lifecycle, data, develop):
    module.register(app)


def main() -> None:
    """Run the command; errors that a user can act on are one message, not a traceback."""
    try:
        app()
    except (StartError, SettingsError, MigrationError, ImportRefusedError) as exc:
        fail(str(exc))
        sys.exit(1)
