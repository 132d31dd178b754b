"""HTTP of discovery."""

from __future__ import annotations

from typing import Annotated

from litestar import Controller, Response, get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import QueryParameter

from api.auth import ViewerRequest
from api.discovery.items import discovered_creator, suggested_user
from api.discovery.reader import Answer
from api.discovery.readers import Discovery
from api.discovery.schemas import CreatorsPage, DiscoveryMeta, SuggestedUsersPage
from api.errors import problem_specs
from api.logging import record_of
from api.surfaces.http import json_response
from api.surfaces.rows import instant_of

CREATORS = 20  # of an answer (count)

PROBLEMS = problem_specs(400, 401, 429, 503)


class DiscoveryController(Controller):
    """Whom to follow."""

    path = "/api/v1/discover"
    tags = ("discover",)

    @get(
        "/suggested-users",
        operation_id="GetSuggestedUsers",
        summary="Users the viewer may want to follow, best first, and why",
        responses={200: ResponseSpec(SuggestedUsersPage, description="The list"), **PROBLEMS},
    )
    async def suggested_users(
        self,
        request: ViewerRequest,
        discovery: NamedDependency[Discovery],
        limit: Annotated[
            int, QueryParameter(ge=1, le=50, description="Users of the list (count)")
        ] = 20,
    ) -> Response[bytes]:
        """Return whom to follow."""
        answer = await discovery.users.of(request.user.user_id, limit)
        return json_response(
            SuggestedUsersPage(
                data=[suggested_user(one) for one in answer.users],
                has_more=False,
                next_cursor=None,
                meta=meta_of(request, answer),
            )
        )

    @get(
        "/creators",
        operation_id="GetCreatorsToDiscover",
        summary="Creators the viewer does not follow, the 20 best first, with videos of each",
        responses={200: ResponseSpec(CreatorsPage, description="The list"), **PROBLEMS},
    )
    async def creators(
        self, request: ViewerRequest, discovery: NamedDependency[Discovery]
    ) -> Response[bytes]:
        """Return whom to discover."""
        answer = await discovery.creators.of(request.user.user_id, CREATORS)
        return json_response(
            CreatorsPage(
                data=[discovered_creator(one, discovery.addresses) for one in answer.users],
                has_more=False,
                next_cursor=None,
                meta=meta_of(request, answer),
            )
        )


def meta_of(request: ViewerRequest, answer: Answer) -> DiscoveryMeta:
    """Return how a list came about, and note it for the log."""
    record = record_of(request.scope)
    record.cache_hit, record.degraded, record.rows = (
        answer.is_hit,
        answer.degraded,
        len(answer.users),
    )
    return DiscoveryMeta(
        as_of=instant_of(answer.as_of_ms),
        cache_hit=answer.is_hit,
        degraded=answer.degraded,
        fallback=answer.is_fallback,
        response_time_ms=record.elapsed_ms(),
        total_count=len(answer.users),
    )
