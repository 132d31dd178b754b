"""What ClickHouse is asked and told by who embeds videos: which, and what came of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from api.settings import Settings
from api.surfaces.rows import instant, statements_in
from api.workers.clickhouse import WorkerClickHouse, aware

SQL = statements_in(Path(__file__).parent / "sql")

# How long a landing may take until its rows are seen, as they are taken to be (seconds).
SETTLED_SECONDS = 10
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

COLUMNS = ("model_version", "video_id", "embedding", "generated_at")


class Span(Struct, frozen=True):
    """Videos that are looked at together: all from one id to another."""

    first_id: int
    last_id: int


class Moment(Struct, frozen=True):
    """The time in ClickHouse: now, up to when all that landed is seen, and of the last landing."""

    now: datetime
    settled_until: datetime
    newest_landing_at: datetime


class Video(Struct, frozen=True):
    """A video to embed, and what the model is told of it."""

    video_id: int
    instance: dict[str, Any]


class EmbeddingStore:
    """The ClickHouse side of who embeds videos."""

    def __init__(self, settings: Settings, settled_seconds: int = SETTLED_SECONDS) -> None:
        self._clickhouse = WorkerClickHouse(settings.clickhouse_url)
        self._settled_seconds = settled_seconds

    async def moment(self) -> Moment:
        """Return what time it is where videos land."""
        rows = await self._clickhouse.rows(
            SQL["moment"], {"settled_seconds": self._settled_seconds}
        )
        return Moment(*map(aware, rows[0]))

    async def next_videos(self, from_id: int, since: datetime, videos: int) -> Span | None:
        """Return the next so many videos from an id on that landed since; None after the last."""
        rows = await self._clickhouse.rows(
            SQL["next_videos"], {"from_id": from_id, "since": instant(since), "videos": videos}
        )
        first_id, last_id, found = rows[0]
        return Span(first_id, last_id) if found else None

    async def videos_to_embed(
        self, model_version: str, span: Span, since: datetime, until: datetime
    ) -> list[Video]:
        """
        Return those videos of a span that a model version has nothing of, or of before.

        Of those that landed in a time: later ones may have a newer version on its way.
        """
        lines = await self._clickhouse.lines(
            SQL["videos_to_embed"],
            {
                "model_version": model_version,
                "first_id": span.first_id,
                "last_id": span.last_id,
                "since": instant(since),
                "until": instant(until),
                "settled_seconds": self._settled_seconds,
            },
        )
        videos = []
        for line in lines:
            instance = msgspec.json.decode(line)
            videos.append(Video(instance.pop("video_id"), instance))
        return videos

    async def store(
        self, model_version: str, vectors: Mapping[int, Sequence[float]], generated_at: datetime
    ) -> None:
        """Store embeddings by video; the newest of a video is the one that counts."""
        if vectors:
            await self._clickhouse.insert(
                "raw.video_embeddings",
                COLUMNS,
                [
                    [model_version, video_id, vector, generated_at]
                    for video_id, vector in vectors.items()
                ],
            )

    async def close(self) -> None:
        """Hang up."""
        await self._clickhouse.close()
