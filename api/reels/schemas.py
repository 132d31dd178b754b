"""What the reels endpoints answer with."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from msgspec import Meta, Raw, Struct

from api.ids import PATTERN

Count = Annotated[int, Meta(ge=0)]
Id = Annotated[
    str,
    Meta(
        pattern=PATTERN,
        description="63-bit id, as a string: real ids exceed 2^53",
    ),
]


class Algorithm(StrEnum):
    """How the feed is ranked."""

    CH = "ch"
    TRENDING = "trending"


class Window(StrEnum):
    """Over which time trending is counted."""

    HOUR = "1h"
    DAY = "24h"
    WEEK = "7d"


class Reel(Struct, frozen=True):
    """One short video in a feed; `COUNTERS` stay its last fields (api/counters/overlay.py)."""

    id: Id
    creator_id: Id
    title: str
    duration_seconds: Annotated[float, Meta(ge=0)]
    completion_rate: Annotated[float, Meta(ge=0, le=1)]
    ranking_score: Annotated[float, Meta(ge=0, le=1)]
    source: Annotated[
        str,
        Meta(
            description="Why it was considered: followee, trending, affinity, fill_trending or "
            "fill_newest; the strongest of several"
        ),
    ]
    created_at: datetime
    thumbnail_url: str | None
    streaming_url: str
    view_count: Count
    like_count: Count
    share_count: Count
    comment_count: Count


# What a reel calls its counters, and what they are called where they are kept.
COUNTERS = {
    "view_count": "views",
    "like_count": "likes",
    "share_count": "shares",
    "comment_count": "comments",
}


class FeedMeta(Struct, frozen=True):
    """How a page came about."""

    algo: Algorithm
    variant: Annotated[str, Meta(description="Set of weights the viewer is ranked with")]
    as_of: Annotated[datetime, Meta(description="The clock of the ranking")]
    cache_hit: Annotated[bool, Meta(description="True when an earlier ranking was paged on")]
    degraded: Annotated[
        Literal["none", "no_cache", "stale", "timeline"],
        Meta(description="What was missing: nothing, Redis, or ClickHouse"),
    ]
    fallback: Annotated[
        bool, Meta(description="True when something older or simpler was served instead")
    ]
    response_time_ms: Annotated[float, Meta(ge=0, description="Time in this service (ms)")]
    total_count: Annotated[int, Meta(ge=0, description="Items of the ranked snapshot (count)")]


class ReelPage(Struct, frozen=True):
    """A page of reels, best first. `next_cursor` is null where the feed ends."""

    data: list[Reel]
    has_more: bool
    next_cursor: str | None
    meta: FeedMeta


class ReadyReelPage(Struct, frozen=True):
    """A `ReelPage` whose items are JSON already."""

    data: list[Raw]
    has_more: bool
    next_cursor: str | None
    meta: FeedMeta


class TrendingMeta(Struct, frozen=True):
    """How a chart came about."""

    window: Window
    as_of: datetime
    cache_hit: bool
    degraded: Literal["none", "stale"]
    fallback: bool
    response_time_ms: Annotated[float, Meta(ge=0)]
    total_count: Count


class TrendingPage(Struct, frozen=True):
    """The chart of a window, top first."""

    data: list[Reel]
    has_more: bool
    next_cursor: str | None
    meta: TrendingMeta


class ReadyTrendingPage(Struct, frozen=True):
    """A `TrendingPage` whose items are JSON already."""

    data: list[Raw]
    has_more: bool
    next_cursor: str | None
    meta: TrendingMeta
