"""The command line: `./nova up`, `down`, `status`, `import`, `test`, …"""

from __future__ import annotations

import sys
from importlib import import_module

import typer

from api.actionable import ActionableError
from api.cli.console import fail

# Which module has a command. Only that one is imported: `./nova dbt` must not wait for the API's
# libraries, and a change of weights is served within seconds of typing it.
COMMANDS = {
    "up": "lifecycle",
    "down": "lifecycle",
    "status": "lifecycle",
    "reset": "lifecycle",
    "serve": "service",
    "migrate": "service",
    "token": "tokens",
    "warm": "warm",
    "models": "models",
    "import": "data",
    "dbt": "develop",
    "sql": "develop",
    "psql": "develop",
    "test": "develop",
    "lint": "develop",
    "bench": "develop",
}


def command_line(wanted: str | None) -> typer.Typer:
    """Return the commands of one module, or all of them when `wanted` is none of them."""
    app = typer.Typer(
        name="nova",
        help="Ranked feeds whose brain is SQL. Start with `./nova up`.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="markdown",
    )

    @app.callback()
    def nova() -> None:
        """Ranked feeds whose brain is SQL. Start with `./nova up`."""

    names = [COMMANDS[wanted]] if wanted in COMMANDS else dict.fromkeys(COMMANDS.values())
    for name in names:
        import_module(f"api.cli.{name}").register(app)
    return app


def main() -> None:
    """Run the command; errors that a user can act on are one message, not a traceback."""
    try:
        command_line(sys.argv[1] if len(sys.argv) > 1 else None)(prog_name="nova")
    except ActionableError as exc:
        fail(str(exc))
        sys.exit(1)
