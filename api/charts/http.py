"""A chart as a response."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from litestar import Response
from msgspec import Raw

from api.auth import ViewerRequest
from api.charts.reader import ChartPage, Charts
from api.charts.schemas import ChartMeta, ReadyTrendingPage, TrendingMeta
from api.logging import record_of
from api.surfaces.http import json_response
from api.surfaces.rows import instant_of
from api.surfaces.schemas import Window


async def chart_response(
    request: ViewerRequest, charts: Charts, window: Window, limit: int
) -> Response[bytes]:
    """Answer a request for the top of a window's chart."""
    page = await charts.top(window, limit)
    return page_response(request, page, partial(TrendingMeta, window=window))


def page_response(
    request: ViewerRequest, page: ChartPage, meta: Callable[..., ChartMeta]
) -> Response[bytes]:
    """Return the top of a chart as HTTP, and note for the log what it was."""
    record = record_of(request.scope)
    record.cache_hit, record.degraded, record.rows = page.is_hit, page.degraded, len(page.bodies)
    return json_response(
        ReadyTrendingPage(
            data=[Raw(body) for body in page.bodies],
            has_more=False,
            next_cursor=None,
            meta=meta(
                as_of=instant_of(page.as_of_ms),
                cache_hit=page.is_hit,
                degraded=page.degraded,
                fallback=page.degraded != "none",
                response_time_ms=record.elapsed_ms(),
                total_count=page.total,
            ),
        )
    )
