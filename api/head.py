"""HEAD, for every address that answers GET: the same answer without its body (RFC 9110, 9.3.2)."""

from __future__ import annotations

from litestar.enums import HttpMethod, ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send


class HeadMiddleware:
    """
    Serves HEAD with the route of GET.

    Litestar wants a second handler for it, which the OpenAPI document would list as a second
    operation of each address.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wrap one request."""
        if scope["type"] != ScopeType.HTTP or scope["method"] != HttpMethod.HEAD.value:
            await self._app(scope, receive, send)
            return

        async def send_without_body(message: Message) -> None:
            if message["type"] == "http.response.body":
                message["body"] = b""
            await send(message)

        scope["method"] = HttpMethod.GET.value
        try:
            await self._app(scope, receive, send_without_body)
        finally:
            # Whoever is around us logs and measures what was asked.
            scope["method"] = HttpMethod.HEAD.value
