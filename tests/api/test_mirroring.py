"""The copy of the served embeddings in a vector database: whole, kept up, made anew when lost."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import clickhouse_connect
import psycopg
import pytest
import redis
from clickhouse_connect.driver.client import Client

from api.settings import Settings
from api.vectors.milvus import MilvusIndex
from api.vectors.reports import REPORT_KEY
from api.workermetrics import worker_metrics
from api.workers.mirroring import Mirror
from tests.api.conftest import BIG
from tests.api.test_vector_index import DIMENSIONS, direction
from tests.conftest import settings_on

numbers = itertools.count(1)


@pytest.fixture
def settings(clickhouse_url: str, postgres_url: str, redis_url: str) -> Settings:
    return settings_on(
        clickhouse_url=clickhouse_url,
        postgres_url=postgres_url,
        redis_url=redis_url,
        redis_timeout_ms=5_000,
        postgres_timeout_ms=10_000,
    )


@pytest.fixture
def version(settings: Settings, clickhouse: Client) -> Iterator[str]:
    """A version that is served."""
    version = f"mirrored_{next(numbers)}-{DIMENSIONS}d"
    serve(settings, version)
    yield version
    clickhouse.command(f"alter table raw.video_embeddings drop partition '{version}'")


@pytest.fixture
def clickhouse(clickhouse_url: str) -> Iterator[Client]:
    with clickhouse_connect.get_client(dsn=clickhouse_url) as client:
        yield client


def serve(settings: Settings, version: str) -> None:
    with psycopg.connect(settings.postgres_url, autocommit=True) as postgres:
        postgres.execute("select app.register_deep_recall_model(%s, 'sql')", [version])
        postgres.execute("select app.activate_deep_recall_model(%s)", [version])


def embed(clickhouse: Client, version: str, vectors: dict[int, list[float]]) -> None:
    clickhouse.insert(
        "raw.video_embeddings",
        [[version, video, vector] for video, vector in vectors.items()],
        column_names=["model_version", "video_id", "embedding"],
        settings={"async_insert": 0},
    )


@asynccontextmanager
async def mirroring(settings: Settings, path: Path) -> AsyncIterator[Mirror]:
    mirror = Mirror(settings, MilvusIndex(str(path), "", timeout_seconds=30), asyncio.Event())
    await mirror.stores.postgres.open()
    try:
        yield mirror
    finally:
        await mirror.close()


async def test_what_is_served_is_copied_and_then_what_is_new(
    settings: Settings, clickhouse: Client, version: str, tmp_path: Path
) -> None:
    vectors = {BIG + number: direction() for number in range(1_500)}
    embed(clickhouse, version, vectors)
    async with mirroring(settings, tmp_path / "milvus.db") as mirror:
        assert await mirror.run_once() == 1_500
        assert await mirror.run_once() == 0
        (first, *_) = vectors
        changed = direction()
        embed(clickhouse, version, {first: changed, 5: direction()})
        assert await mirror.run_once() == 2
        assert await mirror.index.count(version) == 1_501
        assert await mirror.index.nearest(version, changed, 1) == [first]


async def test_a_restart_goes_on_and_a_lost_copy_is_made_anew(
    settings: Settings, clickhouse: Client, version: str, tmp_path: Path
) -> None:
    embed(clickhouse, version, {number: direction() for number in range(1, 11)})
    # Long enough ago to be in nobody's late look.
    clickhouse.command(
        "insert into raw.video_embeddings (model_version, video_id, embedding, generated_at)"
        " select model_version, 100 + video_id, embedding, now64(3) - interval 1 hour"
        " from raw.video_embeddings where model_version = {version:String}",
        parameters={"version": version},
    )
    async with mirroring(settings, tmp_path / "milvus.db") as mirror:
        assert await mirror.run_once() == 20
    async with mirroring(settings, tmp_path / "milvus.db") as mirror:
        assert await mirror.run_once() == 10, "those of just now, which may have had company"
    async with mirroring(settings, tmp_path / "another.db") as mirror:
        assert await mirror.run_once() == 20
        told = f'nova_mirroring_videos_copied_total{{model_version="{version}"}} 50.0'
        assert told in (await worker_metrics(mirror.stores.redis)).decode()
    with redis.Redis.from_url(settings.redis_url) as client:
        client.delete(REPORT_KEY)
    async with mirroring(settings, tmp_path / "another.db") as mirror:
        assert await mirror.run_once() == 20
        assert await mirror.index.count(version) == 20


async def test_another_version_is_copied_when_it_is_served(
    settings: Settings, clickhouse: Client, version: str, tmp_path: Path
) -> None:
    embed(clickhouse, version, {1: direction()})
    async with mirroring(settings, tmp_path / "milvus.db") as mirror:
        assert await mirror.run_once() == 1
        other = f"other_of_{version}"
        embed(clickhouse, other, {2: direction(), 3: direction()})
        assert await mirror.run_once() == 0
        serve(settings, other)
        assert await mirror.run_once() == 2
        assert await mirror.index.count(version) == 1
        with psycopg.connect(settings.postgres_url, autocommit=True) as postgres:
            postgres.execute("select app.activate_deep_recall_model(null)")
        assert await mirror.run_once() == 0
    clickhouse.command(f"alter table raw.video_embeddings drop partition '{other}'")
