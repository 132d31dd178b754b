"""`token`: who am I today."""

from __future__ import annotations

from typing import Annotated

import typer

from api.auth import issue_token
from api.cli.console import DEFAULT_DATA_DIR, DataDir, out
from api.stack.system import System


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(token)


def token(
    user: Annotated[int, typer.Option("--user", help="Id of the viewer.", min=0, max=2**63 - 1)],
    admin: Annotated[bool, typer.Option("--admin", help="With role=admin.")] = False,
    ttl: Annotated[int, typer.Option("--ttl", help="Good for so many seconds.", min=1)] = 86_400,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Print a token for local use."""
    settings = System(data_dir).settings()
    out.print(issue_token(settings, user_id=user, ttl_seconds=ttl, is_admin=admin), markup=False)
