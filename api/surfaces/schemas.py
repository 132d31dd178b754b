"""What the answers of all feeds have in common."""

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
Source = Annotated[
    str,
    Meta(
        description="Why it was considered: followee, trending, affinity, deep_recall (reels "
        "only), fill_trending or fill_newest; the strongest of several"
    ),
]


class Window(StrEnum):
    """Over which time trending is counted."""

    HOUR = "1h"
    DAY = "24h"
    WEEK = "7d"


class FeedMeta(Struct, frozen=True):
    """How a page came about; each feed says which algorithms and levels it has."""

    algo: str
    variant: Annotated[str, Meta(description="Set of weights the viewer is ranked with")]
    as_of: Annotated[datetime, Meta(description="The clock of the ranking")]
    cache_hit: Annotated[bool, Meta(description="True when an earlier ranking was paged on")]
    degraded: Literal["none", "no_cache", "stale", "timeline"]
    fallback: Annotated[
        bool, Meta(description="True when something older or simpler was served instead")
    ]
    response_time_ms: Annotated[float, Meta(ge=0, description="Time in this service (ms)")]
    total_count: Annotated[int, Meta(ge=0, description="Items of the ranked snapshot (count)")]


class ReadyPage(Struct, frozen=True):
    """A page of any feed whose items are JSON already."""

    data: list[Raw]
    has_more: bool
    next_cursor: str | None
    meta: FeedMeta
