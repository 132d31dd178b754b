"""What a list of similar videos answers with."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

from api.surfaces.schemas import Count, Id

Degraded = Literal["none", "no_cache", "trending"]


class SimilarReel(Struct, frozen=True):
    """A video that is like another one."""

    id: Id
    creator_id: Id
    title: str
    duration_seconds: Annotated[float, Meta(ge=0)]
    completion_rate: Annotated[float, Meta(ge=0, le=1)]
    similarity_score: Annotated[
        float | None,
        Meta(description="1 for the same direction, 0.5 for none in common; null when it trends"),
    ]
    source: Literal["similar", "trending"]
    created_at: datetime
    thumbnail_url: str | None
    streaming_url: str
    view_count: Count
    like_count: Count
    share_count: Count
    comment_count: Count


class SimilarMeta(Struct, frozen=True):
    """How a list came about."""

    as_of: Annotated[datetime, Meta(description="When the similar videos were looked up")]
    cache_hit: Annotated[bool, Meta(description="True when they had been looked up before")]
    degraded: Annotated[
        Degraded,
        Meta(
            description="What was missing: nothing; Redis; or an embedding of the video, or "
            "ClickHouse, and what trends is served instead"
        ),
    ]
    fallback: Annotated[bool, Meta(description="True when something simpler was served instead")]
    response_time_ms: Annotated[float, Meta(ge=0, description="Time in this service (ms)")]
    total_count: Annotated[int, Meta(ge=0, description="Videos in `data` (count)")]


class SimilarPage(Struct, frozen=True):
    """Similar videos, the most similar first; there is one page."""

    data: list[SimilarReel]
    has_more: bool
    next_cursor: None
    meta: SimilarMeta
