"""
Ids of videos by their vectors, in a database that does nothing else.

Off by default: ClickHouse has the embeddings and an index on them. What is in here is a copy of
`raw.video_embeddings`, ids and vectors alone, and may be lost at any time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from api.actionable import ActionableError
from api.settings import Settings


class VectorIndexError(Exception):
    """The database is away, too slow, or has nothing of the version asked for."""


class VectorIndex(Protocol):
    """Vectors of videos, apart by the version of the model that made them."""

    async def upsert(self, version: str, vectors: Mapping[int, Sequence[float]]) -> None:
        """Put vectors by video; one that is there is replaced. Raises `VectorIndexError`."""

    async def nearest(self, version: str, vector: Sequence[float], limit: int) -> list[int]:
        """Return the videos of the most similar vectors by cosine, best first; raises as above."""

    async def count(self, version: str) -> int:
        """Return how many videos a version has, 0 when it is not there; raises as above."""

    async def drop(self, version: str) -> None:
        """Forget a version, also one that is not there; raises as above."""

    async def close(self) -> None:
        """Hang up."""


def vector_index(settings: Settings, timeout_seconds: float | None = None) -> VectorIndex | None:
    """
    Return the vector database of the settings; None when there is none, which is the default.

    A call takes at most `NOVA_MILVUS_TIMEOUT_MS`, or the time given by who is not in a hurry.
    """
    if not settings.milvus_url:
        return None
    try:
        # Its libraries are an extra, and take a second to load.
        from api.vectors.milvus import MilvusIndex
    except ImportError as exc:
        raise ActionableError(
            f"NOVA_MILVUS_URL is set and {exc.name} is not installed: "
            'pip install "nova-feed[milvus]"'
        ) from exc
    return MilvusIndex(
        settings.milvus_url,
        settings.milvus_token,
        timeout_seconds or settings.milvus_timeout_ms / 1000,
    )
