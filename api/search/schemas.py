"""What a search is asked and answered with."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Raw, Struct

from api.surfaces.schemas import Count, Id

Degraded = Literal["none", "postgres"]


class Criteria(Struct, frozen=True):
    """What is searched for, and among which videos; None for any."""

    query: str
    creator_id: int | None = None
    category: str | None = None
    published_from: datetime | None = None
    published_to: datetime | None = None


class FoundReel(Struct, frozen=True):
    """A video that answers a query; counters stay its last fields (api/counters/tail.py)."""

    id: Id
    creator_id: Id
    title: str
    duration_seconds: Annotated[float, Meta(ge=0)]
    completion_rate: Annotated[float, Meta(ge=0, le=1)]
    relevance_score: Annotated[
        float,
        Meta(ge=0, description="How well it answers; comparable within one search, no upper bound"),
    ]
    created_at: datetime
    thumbnail_url: str | None
    streaming_url: str
    view_count: Count
    like_count: Count
    share_count: Count
    comment_count: Count


class SearchMeta(Struct, frozen=True):
    """How an answer came about."""

    as_of: Annotated[datetime, Meta(description="Videos published later are not looked at")]
    corrected_query: Annotated[
        str | None,
        Meta(description="What was searched for as well, when the query was found hardly anywhere"),
    ]
    degraded: Annotated[
        Degraded,
        Meta(description="What was missing: nothing; or ClickHouse, and Postgres searched instead"),
    ]
    fallback: Annotated[bool, Meta(description="True when a simpler search answered")]
    response_time_ms: Annotated[float, Meta(ge=0, description="Time in this service (ms)")]


class SearchPage(Struct, frozen=True):
    """A page of what was found, best first. `next_cursor` is null where it ends."""

    data: list[FoundReel]
    has_more: bool
    next_cursor: str | None
    meta: SearchMeta


class ReadySearchPage(Struct, frozen=True):
    """The same, with items that are JSON already."""

    data: list[Raw]
    has_more: bool
    next_cursor: str | None
    meta: SearchMeta
