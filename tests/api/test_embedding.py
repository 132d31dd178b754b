"""TensorFlow Serving beside the feed: good answers are stored once, of bad ones no feed knows."""

from __future__ import annotations

import asyncio
import itertools
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import psycopg
import pytest
import structlog
from clickhouse_connect.driver.client import Client
from structlog.testing import LogCapture

from api.modelserver.client import FAILURES_TO_OPEN, ModelServer
from api.modelserver.store import EmbeddingStore
from api.settings import Settings
from api.workers import embedding
from api.workers.embedding import BATCH_VIDEOS, Embedder, work
from tests.api import modelserver
from tests.api.conftest import Api, Catalogue, Token, new_id, page
from tests.api.modelserver import FakeModelServer, Fault, embedding_of
from tests.conftest import child_environment

DIMENSIONS = 64
INPUTS = {
    "title",
    "description",
    "hashtags",
    "category",
    "creator_id",
    "sound_id",
    "duration_seconds",
    "completion",
    "engagement",
}

# ClickHouse is everybody's, and so are the partitions of versions.
numbers = itertools.count(1)


@pytest.fixture
async def server() -> AsyncIterator[FakeModelServer]:
    async with FakeModelServer(DIMENSIONS) as server:
        yield server


@pytest.fixture
def settings(settings: Settings, server: FakeModelServer) -> Settings:
    """With a model server that has time, as a busy machine needs."""
    return msgspec.structs.replace(
        settings, tensorflow_serving_url=server.url, tensorflow_serving_timeout_ms=10_000
    )


@pytest.fixture
def version(settings: Settings, clickhouse: Client) -> Iterator[str]:
    """A version that the server computes, registered and not served."""
    version = f"test_{next(numbers)}-{DIMENSIONS}d"
    register(settings, version)
    yield version
    clickhouse.command(f"alter table raw.video_embeddings drop partition '{version}'")


def register(settings: Settings, version: str) -> None:
    with psycopg.connect(settings.postgres_url, autocommit=True) as postgres:
        postgres.execute(
            "select app.register_deep_recall_model(%s, 'tensorflow_serving')", (version,)
        )


@asynccontextmanager
async def embedder(settings: Settings, *, open_seconds: float = 5.0) -> AsyncIterator[Embedder]:
    """A worker that takes up at once what has landed."""
    worker = Embedder(
        settings,
        asyncio.Event(),
        server=ModelServer(settings, open_seconds),
        store=EmbeddingStore(settings, settled_seconds=0),
        again_seconds=0.0,
    )
    await worker.stores.postgres.open()
    try:
        yield worker
    finally:
        await worker.close()


def stored(clickhouse: Client, version: str) -> dict[int, list[float]]:
    rows = clickhouse.query(
        "select video_id, embedding from raw.video_embeddings_current"
        " where model_version = {version:String}",
        parameters={"version": version},
    ).result_rows
    return {video_id: list(vector) for video_id, vector in rows}


def titles(clickhouse: Client) -> dict[int, str]:
    rows = clickhouse.query("select video_id, title from nova.video_features").result_rows
    return dict(rows)


def expected(clickhouse: Client) -> dict[int, list[float]]:
    """What a healthy server says of every public video."""
    return {
        video_id: pytest.approx(embedding_of({"title": title}, DIMENSIONS), rel=1e-6)
        for video_id, title in titles(clickhouse).items()
    }


async def test_every_public_video_is_embedded_once(
    settings: Settings, server: FakeModelServer, clickhouse: Client, version: str
) -> None:
    async with embedder(settings) as worker:
        await worker.run_once()
        await worker.run_once()
    everything = titles(clickhouse)
    assert sorted(server.titles) == sorted(everything.values())
    assert stored(clickhouse, version) == expected(clickhouse)
    assert {len(batch) for batch in server.batches[:-1]} == {BATCH_VIDEOS}
    assert set(server.paths) == {f"/v1/models/{version}:predict"}
    assert {frozenset(instance) for batch in server.batches for instance in batch} == {
        frozenset(INPUTS)
    }


async def test_a_restart_repeats_nothing_and_finds_what_is_new(
    settings: Settings,
    server: FakeModelServer,
    catalogue: Catalogue,
    clickhouse: Client,
    version: str,
) -> None:
    async with embedder(settings) as worker:
        await worker.run_once()
    server.batches.clear()
    async with embedder(settings) as worker:
        await worker.run_once()
        assert server.batches == []
        new = catalogue.videos(3, creators=1)
        await worker.run_once()
    assert server.titles == [titles(clickhouse)[video] for video in new]
    assert stored(clickhouse, version).keys() >= set(new)


async def test_a_video_that_changes_is_embedded_anew(
    settings: Settings,
    server: FakeModelServer,
    catalogue: Catalogue,
    clickhouse: Client,
    version: str,
) -> None:
    (video,) = catalogue.videos(1)
    async with embedder(settings) as worker:
        await worker.run_once()
        server.batches.clear()
        catalogue.insert("videos", ["video_id", "title", "status"], [[video, "new", "published"]])
        await worker.run_once()
    assert server.titles == ["new"]
    new = pytest.approx(embedding_of({"title": "new"}, DIMENSIONS), rel=1e-6)
    assert stored(clickhouse, version)[video] == new


async def test_a_bad_vector_costs_its_own_video_only(
    settings: Settings, server: FakeModelServer, clickhouse: Client, version: str
) -> None:
    def bad_in_places(server: FakeModelServer, batch: list[modelserver.Instance]) -> bytes:
        vectors = server.vectors(batch)
        vectors[0] = [float("nan")] * DIMENSIONS
        vectors[1] = [0.0] * DIMENSIONS
        return modelserver.predictions(vectors)

    server.fault = bad_in_places
    async with embedder(settings) as worker:
        await worker.run_once()
    report = worker.reports[version]
    batches = len(server.batches)
    assert report.batches == {"answered": batches}
    assert report.refused == {"not_finite": batches, "all_zero": batches}
    assert report.left == 2 * batches
    assert len(stored(clickhouse, version)) == len(titles(clickhouse)) - 2 * batches


async def test_a_version_that_fails_keeps_no_other_waiting(
    settings: Settings, server: FakeModelServer, clickhouse: Client, version: str
) -> None:
    """The first is not there at all; by its name it has its turn first."""
    absent = f"absent_{version}"
    register(settings, absent)

    def one_is_absent(server: FakeModelServer, batch: list[modelserver.Instance]) -> bytes:
        if absent in server.paths[-1]:
            return modelserver.unknown_model(server, batch)
        return modelserver.predictions(server.vectors(batch))

    server.fault = one_is_absent
    async with embedder(settings, open_seconds=60.0) as worker:
        await worker.run_once()
        assert worker.server.circuit(absent).is_refusing
        assert worker.reports[absent].batches == {"status": FAILURES_TO_OPEN}
        assert stored(clickhouse, version) == expected(clickhouse)


async def test_what_was_left_is_found_when_the_server_is_well_again(
    settings: Settings,
    server: FakeModelServer,
    clickhouse: Client,
    version: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(embedding, "SPAN_VIDEOS", 500)
    server.fault = modelserver.garbage
    async with embedder(settings, open_seconds=1.0) as worker:
        await worker.run_once()
        assert stored(clickhouse, version) == {}
        server.fault = None
        await asyncio.sleep(1.0)
        await worker.run_once()
        left = len(titles(clickhouse)) - len(stored(clickhouse, version))
        assert left == worker.reports[version].left == FAILURES_TO_OPEN * BATCH_VIDEOS
        await worker.run_once()
        assert worker.reports[version].left == 0
    assert stored(clickhouse, version) == expected(clickhouse)


# What a request for feeds meets; the reason is what the metric says.
ILL: dict[str, tuple[Fault | None, str]] = {
    "away": (None, "unreachable"),
    "slow": (None, "timeout"),
    "garbage": (modelserver.garbage, "not_json"),
    "wrong dimensions": (modelserver.wrong_dimensions, "dimensions"),
    "HTTP 500": (modelserver.internal_error, "status"),
    "half a document": (modelserver.half_a_document, "not_json"),
    "NaN": (modelserver.not_a_number, "not_finite"),
}


@pytest.mark.parametrize("illness", ILL)
async def test_an_ill_server_is_told_of_and_no_feed_notices(
    settings: Settings,
    server: FakeModelServer,
    api: Api,
    bearer: Token,
    clickhouse: Client,
    version: str,
    monkeypatch: pytest.MonkeyPatch,
    illness: str,
) -> None:
    server.fault, reason = ILL[illness]
    if illness == "away":
        await server.stop()
    if illness == "slow":
        server.delay_seconds = 5.0
        settings = msgspec.structs.replace(settings, tensorflow_serving_timeout_ms=200)
    logged = LogCapture()
    log = structlog.wrap_logger(structlog.PrintLogger(), processors=[logged])
    monkeypatch.setattr(embedding, "log", log)

    stop = asyncio.Event()
    worker = asyncio.create_task(work(settings, stop))
    told = f'nova_embedding_batches_total{{model_version="{version}",outcome="{reason}"}}'
    async with asyncio.timeout(60):
        while told not in (metrics := (await api.get("/metrics")).text):
            body = await page(api, bearer(new_id()))
            assert body["data"] and body["meta"]["degraded"] == "none"
    stop.set()
    await asyncio.wait_for(worker, 20)

    assert "nova_http_request_seconds_count" in metrics
    lines = [line for line in logged.entries if line["event"] == "a batch is not embedded"]
    assert {line["reason"] for line in lines} == {reason}
    assert {line["model_version"] for line in lines} == {version}
    assert stored(clickhouse, version) == {}


async def test_without_a_worker_nobody_asks_the_model_server(
    settings: Settings, server: FakeModelServer, api: Api, bearer: Token, version: str
) -> None:
    with psycopg.connect(settings.postgres_url, autocommit=True) as postgres:
        postgres.execute("select app.activate_deep_recall_model(%s)", (version,))
    await page(api, bearer(new_id()))
    assert server.batches == []


async def eventually(check: Callable[[], bool], seconds: float = 60.0) -> bool:
    deadline = time.monotonic() + seconds
    while not check():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.1)
    return True


async def test_the_worker_ends_when_told_and_goes_on_where_it_was(
    settings: Settings,
    server: FakeModelServer,
    clickhouse: Client,
    version: str,
    tmp_path: Path,
) -> None:
    """A process of its own, told to end while a batch is under way."""

    def start(log: str) -> subprocess.Popen[bytes]:
        with (tmp_path / log).open("wb") as stderr:
            return subprocess.Popen(
                [sys.executable, "-m", "api.workers.embedding"],
                env=child_environment(settings),
                stderr=stderr,
            )

    server.delay_seconds = 0.5
    first = start("first")
    try:
        assert await eventually(lambda: len(server.batches) >= 2), (tmp_path / "first").read_text()
        first.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(first.wait, 20) == 0
    finally:
        first.kill()
    begun = stored(clickhouse, version)
    assert 0 < len(begun) < len(titles(clickhouse))

    server.delay_seconds = 0.0
    server.batches.clear()
    second = start("second")
    try:
        assert await eventually(
            lambda: stored(clickhouse, version).keys() >= titles(clickhouse).keys()
        )
        second.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(second.wait, 20) == 0
    finally:
        second.kill()
    assert len(server.titles) == len(titles(clickhouse)) - len(begun)
