"""HTTP of the posts feed."""

from __future__ import annotations

from typing import Annotated

from litestar import Controller, Response, get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import QueryParameter

from api.auth import ViewerRequest
from api.errors import problem_specs
from api.feed.schemas import PostPage, PostsAlgorithm
from api.limits import LIMIT_OPT, LIMITED_BY_HANDLER
from api.surfaces.http import CursorText, SinceText, feed_response
from api.surfaces.reader import FeedReader

PROBLEMS = problem_specs(400, 401, 429, 503)


class FeedController(Controller):
    """The feed of posts."""

    path = "/api/v1/feed"
    tags = ("feed",)

    @get(
        operation_id="GetFeed",
        summary="A viewer's posts, best first",
        responses={200: ResponseSpec(PostPage, description="A page"), **PROBLEMS},
        opt={LIMIT_OPT: LIMITED_BY_HANDLER},
    )
    async def feed(
        self,
        request: ViewerRequest,
        posts_feed: NamedDependency[FeedReader[PostsAlgorithm]],
        algo: Annotated[
            PostsAlgorithm | None,
            QueryParameter(description="How to rank; `ch` unless a cursor says otherwise"),
        ] = None,
        limit: Annotated[
            int, QueryParameter(ge=1, le=100, description="Items of a page (count)")
        ] = 50,
        cursor: CursorText = None,
        since: SinceText = None,
    ) -> Response[bytes]:
        """Return a page; the first one without a cursor."""
        return await feed_response(request, posts_feed, algo, limit, cursor, since)
