"""Similar videos: found by where they are, hidden by who may not be shown, trending where unknown."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec
import psycopg
import pytest

from api.settings import Settings
from tests.api.conftest import Api, Catalogue, Token, new_id, problem_of, serving
from tests.api.proxy import Proxy

VERSION = "similar-64d"
Page = dict[str, Any]


@pytest.fixture(scope="module")
def heap(catalogue: Catalogue) -> list[int]:
    """Twelve videos: each as near to the first as its place says, the last without an embedding."""
    dice = random.Random(7)
    videos = catalogue.videos(12, creators=12)
    first = [dice.gauss(0, 1) for _ in range(64)]
    away = [dice.gauss(0, 1) for _ in range(64)]
    catalogue.client.insert(
        "raw.video_embeddings",
        [
            [VERSION, video, [a + place * b for a, b in zip(first, away, strict=True)]]
            for place, video in enumerate(videos[:-1])
        ],
        column_names=["model_version", "video_id", "embedding"],
    )
    catalogue.insert(
        "deep_recall_models",
        ["model_version", "provider", "dimensions", "active", "activated_at"],
        [[VERSION, "sql", 64, True, "2030-01-01 00:00:00"]],
    )
    catalogue.refresh()
    return videos
