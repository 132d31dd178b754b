"""What the charts of sounds and hashtags answer with."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from api.charts.schemas import ChartMeta
from api.surfaces.schemas import Count, Id

Rank = Annotated[int, Meta(ge=1, description="Place on the chart of the category")]
Growth = Annotated[
    float,
    Meta(
        ge=0,
        description="How far its creators are above what earlier days led to expect, in standard "
        "deviations; what it is ranked by",
    ),
]
Samples = Annotated[
    list[Id], Meta(description="The best public videos of the last 24 hours made with it")
]


class TrendingSound(Struct, frozen=True):
    """A sound on a chart."""

    id: Id
    name: Annotated[str, Meta(description="Its title; may be empty")]
    usage_count: Annotated[Count, Meta(description="Videos of the last 24 hours made with it")]
    rank: Rank
    growth: Growth
    video_samples: Samples


class TrendingHashtag(Struct, frozen=True):
    """A hashtag on a chart."""

    hashtag: Annotated[str, Meta(description="As most write it, without the number sign")]
    post_count: Annotated[Count, Meta(description="Videos of the last 24 hours that have it")]
    rank: Rank
    growth: Growth
    video_samples: Samples


class UsesMeta(ChartMeta, frozen=True):
    """How a chart of sounds or hashtags came about."""

    category: Annotated[str, Meta(description="Topic of the videos counted; empty for all")]


class TrendingSoundsPage(Struct, frozen=True):
    """The chart of sounds of a category, top first."""

    data: list[TrendingSound]
    has_more: bool
    next_cursor: str | None
    meta: UsesMeta


class TrendingHashtagsPage(Struct, frozen=True):
    """The chart of hashtags of a category, top first."""

    data: list[TrendingHashtag]
    has_more: bool
    next_cursor: str | None
    meta: UsesMeta
