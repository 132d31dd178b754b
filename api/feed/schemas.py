"""What the posts endpoints answer with."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from msgspec import Meta, Struct

from api.charts.schemas import TrendingMeta
from api.surfaces.schemas import Count, FeedMeta, Id, Source


class PostsAlgorithm(StrEnum):
    """How the feed is ranked."""

    CH = "ch"
    TIMELINE = "timeline"


class Counted(Struct, frozen=True, kw_only=True):
    """The counters of a post; by keyword, which makes them the last fields of whatever has them."""

    likes: Count
    comments: Count
    shares: Count
    exposures: Count
    dwell_ms_sum: Annotated[int, Meta(ge=0, description="Time looked at it, all viewers (ms)")]


class FeedPost(Counted, frozen=True):
    """One post in a feed; `COUNTERS` stay its last fields (api/counters/tail.py)."""

    post_id: Id
    author_id: Id
    created_at: datetime
    score: Annotated[
        Annotated[float, Meta(ge=0)] | None,
        Meta(description="What it was ranked by; null in the timeline, which is not scored"),
    ]
    source: Source


class TrendingPost(FeedPost, frozen=True):
    """One post on a chart; its score is its points in the window."""

    rank: Annotated[int, Meta(ge=1, description="Place on the chart, 1 first (rank)")]


# What a post calls its counters, and what they are called where they are kept.
COUNTERS = {
    "likes": "likes",
    "comments": "comments",
    "shares": "shares",
    "exposures": "exposures",
    "dwell_ms_sum": "dwell_ms",
}


class PostsMeta(FeedMeta, frozen=True):
    """How a page of posts came about."""

    algo: PostsAlgorithm
    degraded: Annotated[
        Literal["none", "no_cache", "timeline", "stale"],
        Meta(description="What was missing: nothing, Redis, ClickHouse, or Postgres as well"),
    ]


class PostPage(Struct, frozen=True):
    """A page of posts, best first. `next_cursor` is null where the feed ends."""

    data: list[FeedPost]
    has_more: bool
    next_cursor: str | None
    meta: PostsMeta


class TrendingPostPage(Struct, frozen=True):
    """The chart of a window, top first."""

    data: list[TrendingPost]
    has_more: bool
    next_cursor: str | None
    meta: TrendingMeta
