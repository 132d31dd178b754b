"""What the answers of all charts have in common."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Raw, Struct

from api.surfaces.schemas import Count, Window


class ChartMeta(Struct, frozen=True):
    """How a chart of any kind came about."""

    as_of: Annotated[datetime, Meta(description="When the chart was counted")]
    cache_hit: Annotated[bool, Meta(description="True when an earlier reading was served")]
    degraded: Annotated[
        Literal["none", "stale"],
        Meta(description="What was missing: nothing, or a ClickHouse that counts"),
    ]
    fallback: Annotated[bool, Meta(description="True when an earlier chart had to do")]
    response_time_ms: Annotated[float, Meta(ge=0, description="Time in this service (ms)")]
    total_count: Annotated[Count, Meta(description="Items of the chart (count)")]


class TrendingMeta(ChartMeta, frozen=True):
    """How the chart of a window came about."""

    window: Window


class ReadyTrendingPage(Struct, frozen=True):
    """A chart of any kind whose items are JSON already."""

    data: list[Raw]
    has_more: bool
    next_cursor: str | None
    meta: ChartMeta
