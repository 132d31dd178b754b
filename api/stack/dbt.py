"""Run dbt on the project's models, pointed at one ClickHouse."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).parent.parent.parent


def profile_variables(clickhouse_url: str) -> Mapping[str, str]:
    """Return what `profiles.yml` reads: a ClickHouse address, taken apart."""
    url = urlsplit(clickhouse_url)
    secure = url.scheme == "https"
    return {
        "NOVA_DBT_HOST": url.hostname or "127.0.0.1",
        "NOVA_DBT_PORT": str(url.port or (8443 if secure else 8123)),
        "NOVA_DBT_USER": unquote(url.username or "default"),
        "NOVA_DBT_PASSWORD": unquote(url.password or ""),
        "NOVA_DBT_SECURE": str(secure).lower(),
    }


def dbt(
    arguments: Sequence[str],
    clickhouse_url: str,
    *,
    project_dir: Path = ROOT,
    target_path: Path | None = None,
    stdout: IO[bytes] | int | None = None,
    stderr: IO[bytes] | int | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """
    Run `dbt ARGUMENTS` and wait for its end; the caller looks at `returncode`.

    `target_path` keeps compiled files and logs apart, for runs side by side.
    """
    environment = {**os.environ, **profile_variables(clickhouse_url)}
    if target_path is not None:
        environment |= {"DBT_TARGET_PATH": str(target_path), "DBT_LOG_PATH": str(target_path)}
    return subprocess.run(  # noqa: S603
        [str(Path(sys.executable).parent / "dbt"), *arguments],
        cwd=project_dir,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        check=False,
    )
