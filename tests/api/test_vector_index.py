"""A vector database beside ClickHouse: Milvus, in a file of the test's own (Milvus Lite)."""

from __future__ import annotations

import asyncio
import math
import random
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from api.actionable import ActionableError
from api.stack.ports import free_port
from api.vectors import VectorIndex, VectorIndexError, vector_index
from api.vectors.milvus import FAILURES_TO_OPEN, MilvusIndex
from tests.api.conftest import BIG
from tests.conftest import settings_on

DIMENSIONS = 64
chance = random.Random(7)


def direction() -> list[float]:
    return [chance.gauss(0, 1) for _ in range(DIMENSIONS)]


def cosine(one: list[float], other: list[float]) -> float:
    return sum(map(float.__mul__, one, other)) / (math.hypot(*one) * math.hypot(*other))


@pytest.fixture
async def index(tmp_path: Path) -> AsyncIterator[VectorIndex]:
    index = MilvusIndex(str(tmp_path / "milvus.db"), "", timeout_seconds=30)
    yield index
    await index.close()


async def test_what_is_most_similar_comes_first(index: VectorIndex) -> None:
    vectors = {BIG + number: direction() for number in range(500)}
    await index.upsert("co_watch_v1-64d", vectors)
    asked = direction()
    exact = sorted(vectors, key=lambda video: -cosine(asked, vectors[video]))
    # Exact among so few: the graph is searched wider than that.
    assert await index.nearest("co_watch_v1-64d", asked, 10) == exact[:10]
    assert await index.count("co_watch_v1-64d") == 500


async def test_a_vector_that_comes_again_takes_the_place_of_the_old_one(
    index: VectorIndex,
) -> None:
    old, new = direction(), direction()
    await index.upsert("m-64d", {1: old, 2: new})
    await index.upsert("m-64d", {1: new, 2: old})
    await index.upsert("m-64d", {})
    assert await index.nearest("m-64d", new, 1) == [1]
    assert await index.count("m-64d") == 2


async def test_versions_are_apart_and_can_be_dropped(index: VectorIndex) -> None:
    """Also those whose names differ in what a collection's name cannot hold."""
    await index.upsert("a.b-64d", {1: direction()})
    await index.upsert("a_b-64d", {2: direction()})
    assert await index.nearest("a.b-64d", direction(), 5) == [1]
    await index.drop("a.b-64d")
    await index.drop("a.b-64d")
    assert await index.count("a.b-64d") == 0
    with pytest.raises(VectorIndexError):
        await index.nearest("a.b-64d", direction(), 5)
    assert await index.nearest("a_b-64d", direction(), 5) == [2]


async def test_another_length_is_refused(index: VectorIndex) -> None:
    await index.upsert("m-64d", {1: direction()})
    with pytest.raises(VectorIndexError):
        await index.upsert("m-64d", {2: direction()[:-1]})
    with pytest.raises(VectorIndexError):
        await index.nearest("m-64d", direction()[:-1], 5)
    assert await index.count("m-64d") == 1


@pytest.mark.parametrize("is_there", [False, True])
async def test_a_server_that_does_not_answer_costs_its_time_and_then_nothing(
    is_there: bool,
) -> None:
    """Whether nobody listens or somebody says nothing."""
    lines: list[asyncio.StreamWriter] = []
    silent = await asyncio.start_server(lambda _, writer: lines.append(writer), "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1] if is_there else free_port()
    index = MilvusIndex(f"http://127.0.0.1:{port}", "", timeout_seconds=0.2)
    for _ in range(FAILURES_TO_OPEN):
        with pytest.raises(VectorIndexError):
            await index.nearest("m-64d", direction(), 5)
    assert index.breaker.is_refusing
    await index.close()
    for line in lines:
        line.close()
    silent.close()


def test_there_is_none_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    assert vector_index(settings_on()) is None
    # As without the extra.
    monkeypatch.setitem(sys.modules, "pymilvus", None)
    monkeypatch.delitem(sys.modules, "api.vectors.milvus")
    with pytest.raises(ActionableError, match=r"nova-feed\[milvus\]"):
        vector_index(settings_on(milvus_url="http://127.0.0.1:19530"))
