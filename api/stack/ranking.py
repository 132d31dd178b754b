"""Bring the ranking in the database up to date: build the models, refresh what they precompute."""

from __future__ import annotations

import hashlib
import re
import subprocess
import time
from graphlib import TopologicalSorter
from pathlib import Path

import clickhouse_connect
import msgspec
from clickhouse_connect.driver.client import Client
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
        ["--write-json", "build", "--exclude-resource-type", "unit_test"],
        clickhouse_url,
        target_path=data_dir / "dbt",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    if built.returncode:
        tail = "\n".join(built.stdout.decode(errors="replace").splitlines()[-40:])
        raise StartError(f"dbt build failed:\n{tail}")
    drop_forgotten(clickhouse_url, data_dir / "dbt" / "manifest.json")
    stamp.write_text(wanted)
    return True


class Node(msgspec.Struct):
    """A model, seed or test of the dbt project."""

    resource_type: str
    name: str


class Manifest(msgspec.Struct):
    """What `dbt build` leaves behind of the project it built, as far as it is read here."""

    nodes: dict[str, Node]


# The macro `record_release` makes it.
NOT_A_MODEL = "ranking_releases"


def drop_forgotten(clickhouse_url: str, manifest: Path) -> list[str]:
    """
    Drop what dbt once built and the project no longer has; returns its names.

    Otherwise ClickHouse goes on refreshing models that nobody reads. `nova` is dbt's alone.
    """
    nodes = msgspec.json.decode(manifest.read_bytes(), type=Manifest).nodes.values()
    names = {node.name for node in nodes if node.resource_type in ("model", "seed")}
    kept = {NOT_A_MODEL, *names, *(f"{name}_mv" for name in names)}
    with clickhouse_connect.get_client(dsn=clickhouse_url) as client:
        found = client.query(
            # What refreshes a table goes before the table, and so does a dictionary that is loaded
            # from it: ClickHouse drops no table that one depends on.
            "select name, engine from system.tables where database = 'nova'"
            " order by engine not in ('MaterializedView', 'Dictionary'), name"
        ).result_rows
        forgotten = [(name, engine) for name, engine in found if name not in kept]
        for name, engine in forgotten:
            kind = "dictionary" if engine == "Dictionary" else "table"
            client.command(f"drop {kind} if exists nova.`{name}` sync")
    return [name for name, _ in forgotten]


def is_built(clickhouse_url: str) -> bool:
    """Say whether this ClickHouse has the serving view."""
    with clickhouse_connect.get_client(dsn=clickhouse_url) as client:
        return bool(client.command("exists table nova.feed__reels"))


def refresh_ranking(clickhouse_url: str, seconds: float = 120.0) -> int:
    """
    Refresh every precomputed model now, instead of at its next turn; returns how many there are.

    One after the other, each after what it is made of; dictionaries are loaded anew.
    """
    deadline = time.monotonic() + seconds
    steps = 0
    with clickhouse_connect.get_client(dsn=clickhouse_url, send_receive_timeout=seconds) as client:
        for name, engine in in_order_of_making(client):
            if engine == "Dictionary":
                client.command(f"system reload dictionary nova.`{name}`")
                continue
            client.command(f"system refresh view nova.`{name}_mv`")
            try:
                client.command(f"system wait view nova.`{name}_mv`")
            except ClickHouseError as exc:
                raise StartError(f"model {name} could not be refreshed") from exc
            if time.monotonic() > deadline:
                raise StartError(f"models were not refreshed within {seconds:.0f} s")
            steps += 1
    return steps


def in_order_of_making(client: Client) -> list[tuple[str, str]]:
    """Return the refreshed tables and dictionaries of `nova`, what they are made of first."""
    queries: dict[str, str] = {}
    engines: dict[str, str] = {}
    for name, engine, query in client.query(
        "select name, engine, if(engine = 'Dictionary', create_table_query, concat(as_select, "
        # What appends to a landing table is not named by whoever reads that.
        r" extract(create_table_query, ' DEPENDS ON .*? (?:TO|APPEND|EMPTY) ')))"
        " from system.tables where database = 'nova'"
    ).result_rows:
        is_view = engine == "MaterializedView"
        model = name.removesuffix("_mv") if is_view else name
        # A refreshed table has no query of its own; the view that writes it has.
        if query:
            queries[model], engines[model] = query, engine
    made_of = {
        model: {
            other.removesuffix("_mv")
            for other in re.findall(r"\bnova`?\.`?(\w+)", query)
            if other.removesuffix("_mv") in queries and other.removesuffix("_mv") != model
        }
        for model, query in queries.items()
    }
    return [
        (model, engines[model])
        for model in TopologicalSorter(made_of).static_order()
        if engines[model] in ("MaterializedView", "Dictionary")
    ]
