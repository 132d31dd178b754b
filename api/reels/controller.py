"""HTTP of the reels feed."""

from __future__ import annotations

from typing import Annotated

from litestar import Controller, Response, get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import QueryParameter

from api.auth import ViewerRequest
from api.charts.http import chart_response
from api.errors import problem_specs
from api.limits import LIMIT_OPT, LIMITED_BY_HANDLER
from api.reels.charts import CHART_ITEMS, ReelCharts
from api.reels.schemas import ReelPage, ReelsAlgorithm, TrendingPage
from api.surfaces.http import CursorText, SinceText, feed_response
from api.surfaces.reader import FeedReader
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
        reels: NamedDependency[FeedReader[ReelsAlgorithm]],
        algo: Annotated[
            ReelsAlgorithm | None,
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
        reel_charts: NamedDependency[ReelCharts],
        window: Annotated[
            Window, QueryParameter(description="Over which time it is counted")
        ] = Window.DAY,
    ) -> Response[bytes]:
        """Return a chart; it is the same for everyone."""
        return await chart_response(request, reel_charts, window, CHART_ITEMS)
