"""HEAD and OPTIONS, for every address, from the routes of the other methods."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from litestar.enums import ScopeType
from litestar.routes import HTTPRoute
from litestar.status_codes import HTTP_405_METHOD_NOT_ALLOWED
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

GET: Literal["GET"] = "GET"
HEAD: Literal["HEAD"] = "HEAD"
OPTIONS: Literal["OPTIONS"] = "OPTIONS"


class MethodsMiddleware:
    """
    Serves HEAD with the route of GET, without its body (RFC 9110, 9.3.2), and completes `Allow`.

    For HEAD, Litestar wants a second handler, which the OpenAPI document would list as a second
    operation of each address. Its answer to OPTIONS names the first method of an address only
    (its issue 4169), that to a method an address does not take lacks HEAD.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._allowed: dict[str, bytes] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wrap one request."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
        elif scope["method"] == HEAD:
            await self._head(scope, receive, send)
        elif scope["method"] == OPTIONS:
            await self._options(scope, receive, send)
        else:
            await self._app(scope, receive, naming_head(send))

    async def _head(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        async def send_without_body(message: Message) -> None:
            if message["type"] == "http.response.body":
                message["body"] = b""
            await send(message)

        scope["method"] = GET
        try:
            await self._app(scope, receive, send_without_body)
        finally:
            # Whoever is around us logs and measures what was asked.
            scope["method"] = HEAD

    async def _options(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        async def send_with_all_methods(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    (name, self._methods(scope) if name == b"allow" else value)
                    for name, value in message["headers"]
                ]
            await send(message)

        await self._app(scope, receive, send_with_all_methods)

    def _methods(self, scope: HTTPScope) -> bytes:
        """Return the methods of the address that was asked for."""
        if not self._allowed:
            for route in scope["litestar_app"].routes:
                if isinstance(route, HTTPRoute):
                    self._allowed[route.path_format] = allow(route.methods)
        return self._allowed[scope["path_template"]]


def naming_head(send: Send) -> Send:
    """Return a `send` that completes what a 405 says is allowed."""

    async def send_with_head(message: Message) -> None:
        if (
            message["type"] == "http.response.start"
            and message["status"] == HTTP_405_METHOD_NOT_ALLOWED
        ):
            message["headers"] = [
                (name, allow(value.decode().split(", ")) if name == b"allow" else value)
                for name, value in message["headers"]
            ]
        await send(message)

    return send_with_head


def allow(methods: Iterable[str]) -> bytes:
    """Return the value of `Allow` for the methods that have a handler."""
    found = set(methods)
    return ", ".join(sorted(found | {HEAD} if GET in found else found)).encode()
