"""`models`: versions of embeddings, what was measured of them, and which one is served."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

import clickhouse_connect
import msgspec
import psycopg
import typer
from clickhouse_connect.driver.binding import quote_identifier
from clickhouse_connect.driver.exceptions import ClickHouseError
from msgspec import Struct
from psycopg.rows import class_row
from psycopg.types.json import Jsonb
from rich.table import Table

from api.actionable import ActionableError
from api.cli.console import DEFAULT_DATA_DIR, AsJson, DataDir, out, say
from api.settings import Settings
from api.stack.system import System
from api.stores import refusal_of
from api.vectors import VectorIndexError, vector_index

PATIENT_SECONDS = 30.0

VERSIONS = """
select
    model_version,
    provider,
    dimensions,
    active,
    metrics,
    activated_at
from app.deep_recall_models
where not deleted
order by
    active desc,
    created_at desc,
    model_version asc
"""

# What is known of it stays: figures are added one at a time.
REGISTER = """
select
    app.register_deep_recall_model(
        %(version)s,
        %(provider)s,
        coalesce(
            (
                select metrics
                from app.deep_recall_models
                where model_version = %(version)s and not deleted
            ),
            '{}'
        ) || %(metrics)s
    )
"""

EMBEDDED = """
select
    toString(model_version),
    uniqExact(video_id)
from raw.video_embeddings
group by model_version
"""

TABLES = """
select name
from system.tables
where
    database = 'raw'
    and startsWith(name, 'video_embeddings')
    and endsWith(engine, 'MergeTree')
order by name
"""


class Provider(StrEnum):
    """Who computes the embeddings of a version."""

    sql = "sql"
    tensorflow_serving = "tensorflow_serving"


class Version(Struct):
    """One version of embeddings; `videos` is None while ClickHouse does not answer."""

    model_version: str
    provider: str
    dimensions: int
    active: bool
    metrics: dict[str, Any]
    activated_at: datetime | None
    videos: int | None = None


VersionName = Annotated[
    str, typer.Argument(help="Lower-case words, a dash, the dimensions and “d”: two_tower_v3-64d.")
]
Metrics = Annotated[
    list[str] | None,
    typer.Option("--metric", help="What was measured, as name=value; as often as you like."),
]

models = typer.Typer(help="Versions of embeddings, and which one is served.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(models, name="models")


@models.command("list")
def list_versions(data_dir: DataDir = DEFAULT_DATA_DIR, as_json: AsJson = False) -> None:
    """Show every version, the one that is served first."""
    settings = System(data_dir).settings_to_use("postgres")
    with postgres(settings) as connection:
        versions = connection.cursor(row_factory=class_row(Version)).execute(VERSIONS).fetchall()
    embedded = embedded_videos(settings)
    for version in versions:
        version.videos = None if embedded is None else embedded.get(version.model_version, 0)
    if as_json:
        out.print(msgspec.json.encode(versions).decode(), markup=False)
        return
    table = Table("version", "provider", "served", "videos", "measured")
    for version in versions:
        table.add_row(
            version.model_version,
            version.provider,
            "yes" if version.active else "",
            "?" if version.videos is None else str(version.videos),
            ", ".join(f"{name} {value}" for name, value in version.metrics.items()),
        )
    out.print(table)


@models.command("register")
def register_version(
    version: VersionName,
    provider: Annotated[
        Provider, typer.Option(help="Who computes it: ClickHouse itself, or a model server.")
    ] = Provider.tensorflow_serving,
    metric: Metrics = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Make a version known, or add what was measured of it; it is not served before `activate`."""
    metrics = dict(measured(text) for text in metric or [])
    settings = System(data_dir).settings_to_use("postgres")
    with postgres(settings) as connection:
        connection.execute(
            REGISTER,
            {"version": version, "provider": provider.value, "metrics": Jsonb(metrics)},
        )
    say(f"{version} is registered")
    if provider is Provider.tensorflow_serving and not settings.tensorflow_serving_url:
        say("nobody computes it yet: NOVA_TENSORFLOW_SERVING_URL was not set when `up` began")


@models.command()
def activate(version: VersionName, data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Serve a version in place of the one before, from one moment to the next."""
    with postgres(System(data_dir).settings_to_use("postgres")) as connection:
        connection.execute("select app.activate_deep_recall_model(%s)", [version])
    say(f"{version} is served")


@models.command()
def deactivate(data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Serve without embeddings."""
    with postgres(System(data_dir).settings_to_use("postgres")) as connection:
        connection.execute("select app.activate_deep_recall_model(null)")
    say("no version is served")


@models.command()
def withdraw(version: VersionName, data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Take a version back that is not served, and drop its embeddings."""
    settings = System(data_dir).settings_to_use("postgres", "clickhouse")
    with postgres(settings) as connection:
        connection.execute("select app.withdraw_deep_recall_model(%s)", [version])
    drop_embeddings(settings, version)
    say(f"{version} is withdrawn")


@contextlib.contextmanager
def postgres(settings: Settings) -> Iterator[psycopg.Connection[Any]]:
    """Connect; what Postgres refuses is said in its own words."""
    try:
        with psycopg.connect(settings.postgres_url, autocommit=True, connect_timeout=5) as line:
            yield line
    except psycopg.errors.CheckViolation as exc:
        raise ActionableError(
            "a version is named by lower-case words, a dash, its dimensions (64 to 512) and “d”,"
            " such as two_tower_v3-64d"
        ) from exc
    except psycopg.Error as exc:
        refused = refusal_of(exc)
        if refused is None:
            raise ActionableError(f"Postgres: {str(exc).partition(chr(10))[0]}") from exc
        raise ActionableError(
            "; ".join(f"{error.field} {error.message}" for error in refused.errors)
        ) from exc


def measured(text: str) -> tuple[str, float]:
    """Read `recall_at_50=0.31`; raises `ActionableError` for anything else."""
    name, _, value = text.partition("=")
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not name or not math.isfinite(number):
        raise ActionableError(f"--metric is name=value, such as recall_at_50=0.31; not {text!r}")
    return name, number


def embedded_videos(settings: Settings) -> dict[str, int] | None:
    """Return how many videos each version has an embedding of; None when nobody can say."""
    try:
        with clickhouse_connect.get_client(dsn=settings.clickhouse_url) as client:
            return {
                str(version): int(videos) for version, videos in client.query(EMBEDDED).result_rows
            }
    except (ClickHouseError, OSError):
        return None


def drop_embeddings(settings: Settings, version: str) -> None:
    """Drop what is stored of a version, wherever it is; dropping it twice is harmless."""
    try:
        with clickhouse_connect.get_client(dsn=settings.clickhouse_url) as client:
            for (table,) in client.query(TABLES).result_rows:
                client.command(
                    f"alter table raw.{quote_identifier(table)} drop partition {{version:String}}",
                    parameters={"version": version},
                )
        asyncio.run(drop_copy(settings, version))
    except (ClickHouseError, OSError, VectorIndexError) as exc:
        raise ActionableError(f"withdrawn, and its embeddings are still there: {exc}") from exc


async def drop_copy(settings: Settings, version: str) -> None:
    """Drop what a vector database has of a version, if there is one."""
    index = vector_index(settings, PATIENT_SECONDS)
    if index is not None:
        try:
            await index.drop(version)
        finally:
            await index.close()
