"""Bring the ranking in the database up to date: build the models, refresh what they precompute."""

from __future__ import annotations

import hashlib
import subprocess
import time
from pathlib import Path

import clickhouse_connect
from clickhouse_connect.driver.exceptions import ClickHouseError

from api.stack.dbt import ROOT, dbt
from api.stack.process import StartError

MODEL_SOURCES = ("models", "macros", "dbt_project.yml", "profiles.yml")


def models_fingerprint() -> str:
    """Return a hash of every file that decides what `dbt build` makes."""
    digest = hashlib.sha256()
    for source in MODEL_SOURCES:
        path = ROOT / source
        for file in [path] if path.is_file() else sorted(path.rglob("*")):
            if file.is_file():
                digest.update(f"{file.relative_to(ROOT)}\0".encode())
                digest.update(file.read_bytes())
    return digest.hexdigest()


def build_ranking(clickhouse_url: str, data_dir: Path) -> bool:
    """
    Run `dbt build` when the models changed since it last succeeded here; says whether it ran.

    Unit tests are left to `./nova test`; data tests guard what is served, so they run.
    Raises `StartError` with the end of dbt's output when it fails.
    """
    stamp = data_dir / "models-built"
    wanted = models_fingerprint()
    if stamp.exists() and stamp.read_text() == wanted and is_built(clickhouse_url):
        return False
    built = dbt(
        ["build", "--exclude-resource-type", "unit_test"],
        clickhouse_url,
        target_path=data_dir / "dbt",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    if built.returncode:
        tail = "\n".join(built.stdout.decode(errors="replace").splitlines()[-40:])
        raise StartError(f"dbt build failed:\n{tail}")
    stamp.write_text(wanted)
    return True


# Models that one another are made of: sig_video__totals, video_signals, trending_reels,
# cand_list__videos (count).
LONGEST_CHAIN = 4


def is_built(clickhouse_url: str) -> bool:
    """Say whether this ClickHouse has the serving view."""
    with clickhouse_connect.get_client(dsn=clickhouse_url) as client:
        return bool(client.command("exists table nova.feed__reels"))


def refresh_ranking(clickhouse_url: str, seconds: float = 120.0) -> int:
    """
    Refresh every precomputed model now, instead of at its next turn; returns how many there are.

    Each is refreshed as often as the longest chain among them needs, until nothing it reads was
    refreshed after it: the number of passes is small, and the order need not be known. Dictionaries
    are loaded anew at the end; none is made of another.
    """
    deadline = time.monotonic() + seconds
    with clickhouse_connect.get_client(dsn=clickhouse_url) as client:
        views = [
            str(row[0])
            for row in client.query(
                "select view from system.view_refreshes where database = 'nova' order by view"
            ).result_rows
        ]
        for _ in range(LONGEST_CHAIN):
            for view in views:
                client.command(f"system refresh view nova.`{view}`")
            for view in views:
                try:
                    client.command(f"system wait view nova.`{view}`")
                except ClickHouseError as exc:
                    raise StartError(f"model {view} could not be refreshed") from exc
                if time.monotonic() > deadline:
                    raise StartError(f"models were not refreshed within {seconds:.0f} s")
        for dictionary in client.query(
            "select name from system.dictionaries where database = 'nova' order by name"
        ).result_columns[0]:
            client.command(f"system reload dictionary nova.`{dictionary}`")
    return len(views)
