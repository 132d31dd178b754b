"""The charts of posts, and their address."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
from litestar import Controller, Response, get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import QueryParameter

from api.auth import ViewerRequest
from api.charts.http import chart_response
from api.charts.reader import Charts, ChartSource, Counted
from api.counters.overlay import Overlay
from api.counters.store import CounterStore
from api.counters.tail import Tail
from api.errors import problem_specs
from api.feed.schemas import COUNTERS, TrendingPost, TrendingPostPage
from api.settings import Settings
from api.stores import ClickHouse, Postgres, RedisStore
from api.surfaces.rows import rows_of, statements_in
from api.surfaces.schemas import Window

SQL = statements_in(Path(__file__).parent / "sql")
POSTGRES_SQL = statements_in(Path(__file__).parent / "sql" / "postgres")

CHART_ITEMS = 200  # count, GET /feed/trending

_encoder = msgspec.json.Encoder()


class PostChartSource(ChartSource):
    """Charts of the posts that most accounts reacted to."""

    name = "posts"

    def __init__(self, clickhouse: ClickHouse, postgres: Postgres) -> None:
        self._clickhouse = clickhouse
        self._postgres = postgres

    async def chart(self, key: str) -> Counted:
        """Return the chart of a window, top first."""
        result = await self._clickhouse.query(
            SQL["trending"], {"window": key, "limit": CHART_ITEMS}
        )
        rows = list(rows_of(result))
        bodies = [
            _encoder.encode(
                TrendingPost(
                    post_id=str(row["post_id"]),
                    author_id=str(row["author_id"]),
                    created_at=row["created_at"],
                    score=row["score"],
                    source="trending",
                    rank=row["rank"],
                    likes=row["likes"],
                    comments=row["comments"],
                    shares=row["shares"],
                    exposures=row["exposures"],
                    dwell_ms_sum=row["dwell_ms_sum"],
                )
            )
            for row in rows
        ]
        return Counted(
            rows[0]["counted_at"] if rows else None, [row["post_id"] for row in rows], bodies
        )

    async def deleted(self, ids: Sequence[int]) -> frozenset[int]:
        """Return the posts that were deleted."""
        rows = await self._postgres.rows(POSTGRES_SQL["deleted_posts"], {"post_ids": list(ids)})
        return frozenset(row["id"] for row in rows)


class PostCharts(Charts):
    """The charts of posts."""

    def __init__(
        self,
        clickhouse: ClickHouse,
        postgres: Postgres,
        redis: RedisStore,
        counters: CounterStore,
        settings: Settings,
    ) -> None:
        super().__init__(
            PostChartSource(clickhouse, postgres),
            Overlay(counters, "post", Tail(TrendingPost, COUNTERS)),
            redis,
            settings,
        )

    async def post_ids(self, window: Window) -> list[int]:
        """Return the posts of a chart, top first; empty when unknown. See `item_ids`."""
        return await self.item_ids(window)


class PostChartsController(Controller):
    """The charts of posts."""

    path = "/api/v1/feed"
    tags = ("feed",)

    @get(
        "/trending",
        operation_id="GetTrendingPosts",
        summary="The chart of a window, top 200",
        responses={
            200: ResponseSpec(TrendingPostPage, description="The chart"),
            **problem_specs(400, 401, 429, 503),
        },
    )
    async def trending(
        self,
        request: ViewerRequest,
        post_charts: NamedDependency[PostCharts],
        window: Annotated[
            Window, QueryParameter(description="Over which time it is counted")
        ] = Window.HOUR,
        limit: Annotated[
            int, QueryParameter(ge=1, le=CHART_ITEMS, description="Items of the answer (count)")
        ] = 50,
    ) -> Response[bytes]:
        """Return the top of a chart; it is the same for everyone."""
        return await chart_response(request, post_charts, window, limit)
