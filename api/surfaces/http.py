"""HTTP of all feeds: the parameters they share, and a page as a response."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import Response
from litestar.params import QueryParameter
from msgspec import Raw, Struct

from api.auth import ViewerRequest
from api.errors import FieldError, InvalidRequestError
from api.limits import remember
from api.logging import RequestRecord, record_of
from api.snapshots.walk import Page
from api.surfaces.reader import Algorithm, FeedReader
from api.surfaces.rows import instant_of
from api.surfaces.schemas import FeedMeta, ReadyPage

encode = msgspec.json.Encoder().encode

JSON = "application/json"
CACHE_CONTROL, NOT_SHARED = "Cache-Control", "private, no-store"

LONGEST_CURSOR = 512  # characters; longer is no cursor of ours, whatever it says

CursorText = Annotated[
    str | None,
    QueryParameter(description="`next_cursor` of the page before", max_length=LONGEST_CURSOR),
]
SinceText = Annotated[
    str | None,
    QueryParameter(
        description="A cursor: answer what a ranking of now has that its walk had not",
        max_length=LONGEST_CURSOR,
    ),
]


async def feed_response(
    request: ViewerRequest,
    feed: FeedReader[Algorithm],
    algorithm: Algorithm | None,
    limit: int,
    cursor: str | None,
    since: str | None,
) -> Response[bytes]:
    """Answer a request for a page of a feed: the first one without a cursor."""
    viewer_id = request.user.user_id
    if since is not None:
        if cursor is not None:
            raise InvalidRequestError(
                "`since` asks from a cursor without moving it; send one of the two.",
                errors=[FieldError("since", "not together with `cursor`")],
            )
        page = await feed.since(algorithm, viewer_id, limit, since)
    elif cursor is not None:
        page = await feed.next_page(algorithm, viewer_id, limit, cursor)
    else:
        page = await feed.first_page(algorithm, viewer_id, limit)
    return page_response(request, page, feed.algorithm_of(page))


def page_response(request: ViewerRequest, page: Page, algorithm: str) -> Response[bytes]:
    """Return a page of a walk as HTTP, and note for the log what it was."""
    remember(request.scope, page.verdict)
    return json_response(page_body(record_of(request.scope), page, algorithm))


def page_body(record: RequestRecord, page: Page, algorithm: str) -> ReadyPage:
    """Return what is sent of a page, and note for the log what it was."""
    record.cache_hit, record.degraded, record.rows = (
        page.cache_hit,
        page.degraded,
        len(page.bodies),
    )
    return ReadyPage(
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


def json_response(page: Struct) -> Response[bytes]:
    """Return a page; one viewer's must not end up in a shared cache."""
    return Response(
        content=encode(page),
        media_type=JSON,
        headers={CACHE_CONTROL: NOT_SHARED},
    )
