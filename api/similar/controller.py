"""HTTP of similar videos."""

from __future__ import annotations

from typing import Annotated

from litestar import Controller, Response, get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import QueryParameter

from api.auth import ViewerRequest
from api.errors import problem_specs
from api.ids import PathId, id_of
from api.logging import record_of
from api.similar.reader import SimilarVideos
from api.similar.schemas import SimilarMeta, SimilarPage
from api.surfaces.http import json_response
from api.surfaces.rows import instant_of


class SimilarController(Controller):
    """Videos like another one."""

    path = "/api/v1/reels"
    tags = ("reels",)

    @get(
        "/{item_id:str}/similar",
        operation_id="GetSimilarReels",
        summary="Videos like this one, the most similar first",
        responses={
            200: ResponseSpec(SimilarPage, description="The list"),
            **problem_specs(400, 401, 404, 429, 503),
        },
    )
    async def similar(
        self,
        request: ViewerRequest,
        similar_videos: NamedDependency[SimilarVideos],
        item_id: PathId,
        limit: Annotated[
            int, QueryParameter(ge=1, le=50, description="Videos of the list (count)")
        ] = 10,
    ) -> Response[bytes]:
        """Return similar videos; what trends where nothing is known of the video."""
        answer = await similar_videos.to(id_of(item_id, "item_id"), request.user.user_id, limit)
        record = record_of(request.scope)
        record.cache_hit, record.degraded, record.rows = (
            answer.is_hit,
            answer.degraded,
            len(answer.reels),
        )
        return json_response(
            SimilarPage(
                data=answer.reels,
                has_more=False,
                next_cursor=None,
                meta=SimilarMeta(
                    as_of=instant_of(answer.as_of_ms),
                    cache_hit=answer.is_hit,
                    degraded=answer.degraded,
                    fallback=answer.degraded == "trending",
                    response_time_ms=record.elapsed_ms(),
                    total_count=len(answer.reels),
                ),
            )
        )
