"""
The short way of a page that is there already: most requests of a feed, and none of the rest.

Litestar takes three times as long over a request as everything else that makes such a page
(decision 46). What is asked plainly, by a viewer whose token holds, and found in one trip
to Redis, is answered here. Everything else goes on to the routes, as if this were not here: bad
input, other algorithms, misses, refusals, a Redis that is away. So the routes say what an answer
is, and this must say the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from litestar.enums import HttpMethod, ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

from api.auth import VerifiedTokens
from api.errors import BadCursorError, UnauthenticatedError, UnavailableError
from api.limits import authorization_of
from api.logging import record_of
from api.surfaces.http import CACHE_CONTROL, JSON, NOT_SHARED, encode, page_body
from api.surfaces.reader import FeedReader

DEFAULT_LIMIT = 40  # as of the route

# Parameters as clients of ours write them. What is said otherwise, the routes read.
_LIMIT, _CURSOR = rb"[1-9]|[1-4][0-9]|50", rb"[A-Za-z0-9_-]{1,512}"
PLAIN_QUERY = re.compile(
    rb"(?:limit=(%b)(?:&|$))?(?:cursor=(%b)(?:&|$))?(?:limit=(%b)$)?" % (_LIMIT, _CURSOR, _LIMIT)
)
GET = HttpMethod.GET.value

_HEADERS = [
    (b"content-type", JSON.encode()),
    (CACHE_CONTROL.lower().encode(), NOT_SHARED.encode()),
]


class HitMiddleware:
    """Answers first and next pages of some feeds, by path, from snapshots."""

    def __init__(
        self, app: ASGIApp, feeds: Mapping[str, FeedReader[Any]], tokens: VerifiedTokens
    ) -> None:
        self._app = app
        self._feeds = feeds
        self._tokens = tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on untouched."""
        if scope["type"] == ScopeType.HTTP and scope["method"] == GET:
            feed = self._feeds.get(scope["path"])
            if feed is not None and await self._answer(feed, scope, send):
                return
        await self._app(scope, receive, send)

    async def _answer(self, feed: FeedReader[Any], scope: Any, send: Send) -> bool:
        """Say whether the request was answered."""
        query = PLAIN_QUERY.fullmatch(scope["query_string"])
        if query is None:
            return False
        limit, cursor, limit_after = query.groups()
        if limit and limit_after:
            return False
        try:
            viewer, _ = self._tokens.verify_header(authorization_of(scope))
            page = await feed.hit(
                viewer.user_id,
                int(limit or limit_after or DEFAULT_LIMIT),
                cursor.decode() if cursor else None,
            )
        except (UnauthenticatedError, BadCursorError, UnavailableError):
            return False
        if page is None or page.verdict is None:
            return False
        scope["user"] = viewer
        scope["path_template"] = scope["path"]
        body = encode(page_body(record_of(scope), page, feed.algorithm_of(page)))
        headers = [
            *_HEADERS,
            (b"content-length", b"%d" % len(body)),
            *page.verdict.raw_headers(),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})
        return True
