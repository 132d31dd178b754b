"""HTTP of the search."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from litestar import Controller, Response, get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example
from litestar.params import QueryParameter
from msgspec import Meta, Raw

from api.auth import ViewerRequest
from api.errors import FieldError, InvalidRequestError, problem_specs
from api.ids import PATTERN, id_of
from api.logging import record_of
from api.search.reader import Search
from api.search.schemas import Criteria, ReadySearchPage, SearchMeta, SearchPage
from api.surfaces.http import CursorText, json_response
from api.surfaces.rows import instant_of

LONGEST_QUERY = 200  # characters
LONGEST_CATEGORY = 100  # characters
LONGEST_TIME = 40  # characters

PROBLEMS = problem_specs(400, 401, 429, 503)


class SearchController(Controller):
    """Videos by words."""

    path = "/api/v1/reels/search"
    tags = ("reels",)

    @get(
        operation_id="SearchReels",
        summary="Videos by words of their title, description and hashtags, best first",
        responses={200: ResponseSpec(SearchPage, description="A page"), **PROBLEMS},
    )
    async def search(
        self,
        request: ViewerRequest,
        search: NamedDependency[Search],
        q: Annotated[
            str,
            QueryParameter(
                min_length=1,
                max_length=LONGEST_QUERY,
                description="Words, hashtags or emoji, in any script; misspelled ones, too",
                examples=[Example(value="giraffe carwash")],
            ),
        ],
        creator_id: Annotated[
            str | None, QueryParameter(pattern=PATTERN, description="Of this creator only")
        ] = None,
        category: Annotated[
            str | None,
            QueryParameter(max_length=LONGEST_CATEGORY, description="Of this category only"),
        ] = None,
        published_from: Annotated[
            str | None,
            QueryParameter(
                name="from",
                format="date-time",
                max_length=LONGEST_TIME,
                description="Published then or later (RFC 3339)",
            ),
        ] = None,
        published_to: Annotated[
            str | None,
            QueryParameter(
                name="to",
                format="date-time",
                max_length=LONGEST_TIME,
                description="Published then or earlier (RFC 3339)",
            ),
        ] = None,
        limit: Annotated[
            int, QueryParameter(ge=1, le=50, description="Items of a page (count)")
        ] = 20,
        cursor: CursorText = None,
    ) -> Response[bytes]:
        """Return a page; the first one without a cursor."""
        criteria = Criteria(
            query=storable(q),
            creator_id=None if creator_id is None else id_of(creator_id, "creator_id"),
            category=None if category is None else storable(category),
            published_from=time_of(published_from, "from"),
            published_to=time_of(published_to, "to"),
        )
        if (
            criteria.published_from is not None
            and criteria.published_to is not None
            and criteria.published_from > criteria.published_to
        ):
            message = "must not be later than `to`"
            raise InvalidRequestError(f"from: {message}", errors=[FieldError("from", message)])
        page = await search.page(request.user.user_id, criteria, limit, cursor)
        record = record_of(request.scope)
        record.cache_hit, record.degraded, record.rows = False, page.degraded, len(page.bodies)
        return json_response(
            ReadySearchPage(
                data=[Raw(body) for body in page.bodies],
                has_more=page.next_cursor is not None,
                next_cursor=page.next_cursor,
                meta=SearchMeta(
                    as_of=instant_of(page.as_of_ms),
                    corrected_query=page.corrected_query,
                    degraded=page.degraded,
                    fallback=page.degraded != "none",
                    response_time_ms=record.elapsed_ms(),
                ),
            )
        )


def storable(text: str) -> str:
    """Return a text without what no database takes and nobody searches for: NUL, half a pair."""
    return text.replace("\0", " ").encode("utf-8", "replace").decode()


def time_of(text: str | None, field: str) -> datetime | None:
    """Return a time; raises a problem when it is none, or does not say of which zone it is."""
    if text is None:
        return None
    try:
        # A plus sign that was not escaped arrives as a space.
        at: datetime = msgspec.convert(text.replace(" ", "+"), Annotated[datetime, Meta(tz=True)])
    except msgspec.ValidationError as exc:
        message = "must be a time with its offset from UTC, as in 2026-01-31T12:00:00Z"
        raise InvalidRequestError(
            f"{field}: {message}", errors=[FieldError(field, message)]
        ) from exc
    return at
