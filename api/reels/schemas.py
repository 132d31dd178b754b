"""What the reels endpoints answer with."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from msgspec import Meta, Struct

from api.charts.schemas import TrendingMeta
from api.surfaces.schemas import Count, FeedMeta, Id, Source


class ReelsAlgorithm(StrEnum):
    """How the feed is ranked."""

    CH = "ch"
    TRENDING = "trending"


class Reel(Struct, frozen=True):
    """One short video in a feed; `COUNTERS` stay its last fields (api/counters/tail.py)."""

    id: Id
    creator_id: Id
    title: str
    duration_seconds: Annotated[float, Meta(ge=0)]
    completion_rate: Annotated[float, Meta(ge=0, le=1)]
    ranking_score: Annotated[float, Meta(ge=0, le=1)]
    source: Source
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


class ReelsMeta(FeedMeta, frozen=True):
    """How a page of reels came about."""

    algo: ReelsAlgorithm
    degraded: Annotated[
        Literal["none", "no_cache", "stale"],
        Meta(description="What was missing: nothing, Redis, or ClickHouse"),
    ]


class ReelPage(Struct, frozen=True):
    """A page of reels, best first. `next_cursor` is null where the feed ends."""

    data: list[Reel]
    has_more: bool
    next_cursor: str | None
    meta: ReelsMeta


class TrendingPage(Struct, frozen=True):
    """The chart of a window, top first."""

    data: list[Reel]
    has_more: bool
    next_cursor: str | None
    meta: TrendingMeta
