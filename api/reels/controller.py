"""HTTP of the reels feed."""

from __future__ import annotations

from typing import Annotated

from litestar import Controller, Response, get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import QueryParameter
from msgspec import Raw

from api.auth import ViewerRequest
from api.errors import problem_specs
from api.limits import LIMIT_OPT, LIMITED_BY_HANDLER
from api.logging import record_of
from api.reels.reader import ChartReader
from api.reels.schemas import (
    Algorithm,
    ReadyTrendingPage,
    ReelPage,
    TrendingMeta,
    TrendingPage,
)
from api.surfaces.http import CursorText, SinceText, feed_response, json_response
from api.surfaces.reader import FeedReader
from api.surfaces.rows import instant_of
from api.surfaces.schemas import Window

PROBLEMS = problem_specs(400, 401, 429, 503)


class ReelsController(Controller):
    """The feed and the charts of short videos."""

    path = "/api/v1/reels"
    tags = ("reels",)

    @get(
        operation_id="GetReels",
        summary="A viewer's reels, best first",
        responses={200: ResponseSpec(ReelPage, description="A page"), **PROBLEMS},
        opt={LIMIT_OPT: LIMITED_BY_HANDLER},
    )
    async def feed(
        self,
        request: ViewerRequest,
        reels: NamedDependency[FeedReader[Algorithm]],
        algo: Annotated[
            Algorithm | None,
            QueryParameter(description="How to rank; `ch` unless a cursor says otherwise"),
        ] = None,
        limit: Annotated[
            int, QueryParameter(ge=1, le=50, description="Items of a page (count)")
        ] = 40,
        cursor: CursorText = None,
        since: SinceText = None,
    ) -> Response[bytes]:
        """Return a page; the first one without a cursor."""
        return await feed_response(request, reels, algo, limit, cursor, since)

    @get(
        "/trending",
        operation_id="GetTrendingReels",
        summary="The chart of a window, top 100",
        responses={200: ResponseSpec(TrendingPage, description="The chart"), **PROBLEMS},
    )
    async def trending(
        self,
        request: ViewerRequest,
        charts: NamedDependency[ChartReader],
        window: Annotated[
            Window, QueryParameter(description="Over which time it is counted")
        ] = Window.DAY,
    ) -> Response[bytes]:
        """Return a chart; it is the same for everyone."""
        page = await charts.top(window)
        record = record_of(request.scope)
        record.cache_hit, record.degraded, record.rows = (
            page.is_hit,
            page.degraded,
            len(page.chart.bodies),
        )
        return json_response(
            ReadyTrendingPage(
                data=[Raw(body) for body in page.chart.bodies],
                has_more=False,
                next_cursor=None,
                meta=TrendingMeta(
                    window=window,
                    as_of=instant_of(page.chart.as_of_ms),
                    cache_hit=page.is_hit,
                    degraded=page.degraded,
                    fallback=page.degraded != "none",
                    response_time_ms=record.elapsed_ms(),
                    total_count=len(page.chart.bodies),
                ),
            )
        )
