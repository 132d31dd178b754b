"""Similar videos where a vector database is asked first: its ids, ClickHouse's distances."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from api.settings import Settings
from api.vectors.milvus import MilvusIndex
from tests.api.conftest import Catalogue, Token, new_id, serving

VERSION = "elsewhere-64d"
MODEL_COLUMNS = ["model_version", "provider", "dimensions", "active", "activated_at"]
chance = random.Random(11)


@pytest.fixture
def vectors(catalogue: Catalogue) -> Iterator[dict[int, list[float]]]:
    """Six videos of a version that is served: each farther from the first than the one before."""
    videos = catalogue.videos(6, creators=6)
    first, away = ([chance.gauss(0, 1) for _ in range(64)] for _ in range(2))
    vectors = {
        video: [a + place * b for a, b in zip(first, away, strict=True)]
        for place, video in enumerate(videos)
    }
    catalogue.client.insert(
        "raw.video_embeddings",
        [[VERSION, video, vector] for video, vector in vectors.items()],
        column_names=["model_version", "video_id", "embedding"],
        settings={"async_insert": 0},
    )
    served = [[VERSION, "sql", 64, True, "2031-01-01 00:00:00"]]
    catalogue.insert("deep_recall_models", MODEL_COLUMNS, served)
    catalogue.refresh()
    yield vectors
    catalogue.insert("deep_recall_models", MODEL_COLUMNS, served, is_deleted=True)


async def test_ids_come_from_there_and_from_clickhouse_when_it_has_none(
    settings: Settings, vectors: dict[int, list[float]], bearer: Token, tmp_path: Path
) -> None:
    first, second, third, fourth, *_ = videos = list(vectors)
    path = str(tmp_path / "milvus.db")
    copy = MilvusIndex(path, "", timeout_seconds=30)
    # Only some of them, one that nobody knows any more, and the farther one as if it were nearer.
    known = {fourth: vectors[first], second: vectors[second], new_id(): vectors[first]}
    await copy.upsert(VERSION, known)
    await copy.close()

    settings = msgspec.structs.replace(settings, milvus_url=path, milvus_timeout_ms=30_000)
    headers = bearer(new_id())
    async with serving(settings) as api:
        answer = await api.get(f"/api/v1/reels/{first}/similar", headers=headers)
        assert answer.status_code == 200
        assert [int(reel["id"]) for reel in answer.json()["data"]] == [second, fourth]
        scores = [reel["similarity_score"] for reel in answer.json()["data"]]
        assert scores == sorted(scores, reverse=True)

    settings = msgspec.structs.replace(settings, milvus_url=str(tmp_path / "empty.db"))
    async with serving(settings) as api:
        answer = await api.get(f"/api/v1/reels/{third}/similar", headers=headers)
        assert answer.status_code == 200
        assert {int(reel["id"]) for reel in answer.json()["data"]} == set(videos) - {third}
        assert answer.json()["meta"]["degraded"] == "none"
