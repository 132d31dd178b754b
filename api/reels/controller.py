"""HTTP of the reels feed."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import Controller, Response, get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import QueryParameter
from msgspec import Raw

from api.auth import ViewerRequest
from api.errors import FieldError, InvalidRequestError, problem_specs
from api.limits import LIMIT_OPT, LIMITED_BY_HANDLER, remember
from api.logging import record_of
from api.reels.reader import ALGORITHMS, SURFACES, ChartReader, ReelsReader, instant_of
from api.reels.schemas import (
    Algorithm,
    FeedMeta,
    ReadyReelPage,
    ReadyTrendingPage,
    ReelPage,
    TrendingMeta,
    TrendingPage,
    Window,
)
from api.snapshots.walk import Page

_encoder = msgspec.json.Encoder()

PROBLEMS = problem_specs(400, 401, 429, 503)

CursorText = Annotated[
    str | None,
    QueryParameter(description="`next_cursor` of the page before", max_length=512),
]
SinceText = Annotated[
    str | None,
    QueryParameter(
        description="A cursor: answer what a ranking of now has that its walk had not",
        max_length=512,
    ),
]


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
        reels: NamedDependency[ReelsReader],
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
        if cursor is not None and since is not None:
            raise InvalidRequestError(
                "`since` asks from a cursor without moving it; send one of the two.",
                errors=[FieldError("since", "not together with `cursor`")],
            )
        viewer_id = request.user.user_id
        text, field = (since, "since") if since is not None else (cursor, "cursor")
        if text is None:
            algorithm = algo or Algorithm.CH
            page = await reels.first_page(algorithm, viewer_id, limit)
        else:
            surfaces = frozenset({SURFACES[algo]} if algo else ALGORITHMS)
            at = reels.cursors.decode(text, viewer_id, surfaces, field)
            algorithm = ALGORITHMS[at.surface]
            if field == "since":
                page = await reels.since(viewer_id, at, limit, text)
            else:
                page = await reels.next_page(viewer_id, at, limit)
        return feed_response(request, page, algorithm)

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


def feed_response(request: ViewerRequest, page: Page, algorithm: Algorithm) -> Response[bytes]:
    """Return a page of a walk as HTTP, and note for the log what it was."""
    remember(request.scope, page.verdict)
    record = record_of(request.scope)
    record.cache_hit, record.degraded, record.rows = (
        page.cache_hit,
        page.degraded,
        len(page.bodies),
    )
    return json_response(
        ReadyReelPage(
            data=[Raw(body) for body in page.bodies],
            has_more=page.has_more,
            next_cursor=page.next_cursor,
            meta=FeedMeta(
                algo=algorithm,
                variant=page.variant,
                as_of=instant_of(page.as_of_ms),
                cache_hit=page.cache_hit,
                degraded=page.degraded,
                fallback=page.is_fallback,
                response_time_ms=record.elapsed_ms(),
                total_count=page.total,
            ),
        )
    )


def json_response(page: ReadyReelPage | ReadyTrendingPage) -> Response[bytes]:
    """Return a page; one viewer's must not end up in a shared cache."""
    return Response(
        content=_encoder.encode(page),
        media_type="application/json",
        headers={"Cache-Control": "private, no-store"},
    )
