"""HTTP of the charts of sounds and hashtags."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from litestar import Controller, Response, get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import QueryParameter

from api.auth import ViewerRequest
from api.charts.http import page_response
from api.charts.reader import Charts
from api.errors import problem_specs
from api.trending.charts import ALL, CHART_ITEMS, UseCharts
from api.trending.schemas import TrendingHashtagsPage, TrendingSoundsPage, UsesMeta

LONGEST_CATEGORY = 100  # characters

PROBLEMS = problem_specs(400, 401, 429, 503)

CategoryText = Annotated[
    str,
    QueryParameter(
        description="Topic of the videos to count, as it is written; empty for all videos. A topic "
        "in which little is published, or that nobody knows, has an empty chart",
        max_length=LONGEST_CATEGORY,
    ),
]
Limit = Annotated[
    int, QueryParameter(ge=1, le=CHART_ITEMS, description="Items of the answer (count)")
]


class UseChartsController(Controller):
    """What videos are made with, and what of it trends."""

    path = "/api/v1/reels"
    tags = ("reels",)

    @get(
        "/trending-sounds",
        operation_id="GetTrendingSounds",
        summary="The sounds whose use grew most in the last 24 hours, top 100",
        responses={200: ResponseSpec(TrendingSoundsPage, description="The chart"), **PROBLEMS},
    )
    async def sounds(
        self,
        request: ViewerRequest,
        use_charts: NamedDependency[UseCharts],
        category: CategoryText = ALL,
        limit: Limit = CHART_ITEMS,
    ) -> Response[bytes]:
        """Return a chart; it is the same for everyone."""
        return await answered(request, use_charts.sounds, category, limit)

    @get(
        "/trending-hashtags",
        operation_id="GetTrendingHashtags",
        summary="The hashtags whose use grew most in the last 24 hours, top 100",
        responses={200: ResponseSpec(TrendingHashtagsPage, description="The chart"), **PROBLEMS},
    )
    async def hashtags(
        self,
        request: ViewerRequest,
        use_charts: NamedDependency[UseCharts],
        category: CategoryText = ALL,
        limit: Limit = CHART_ITEMS,
    ) -> Response[bytes]:
        """Return a chart; it is the same for everyone."""
        return await answered(request, use_charts.hashtags, category, limit)


async def answered(
    request: ViewerRequest, charts: Charts, category: str, limit: int
) -> Response[bytes]:
    """Answer a request for the top of a category's chart."""
    page = await charts.top(category, limit)
    return page_response(request, page, partial(UsesMeta, category=category))
