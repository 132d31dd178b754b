"""Rate limits: requests per minute and user, counted in Redis for all workers together."""

from __future__ import annotations

import contextlib
import math
from pathlib import Path
from typing import NamedTuple, cast

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from api.auth import VerifiedTokens, Viewer
from api.errors import TooManyRequestsError, UnauthenticatedError, problem_response
from api.paths import HEALTH, METRICS, SCHEMA, is_below
from api.stores import RedisStore, StoreUnavailableError

WINDOW_MS = 60_000

REFUSED = TooManyRequestsError.status

# `opt` of a route handler. Own: the handler charges within its own round trip to Redis.
LIMIT_OPT = "rate_limit"
LIMITED_BY_HANDLER = "own"
EXEMPT = (*HEALTH, METRICS, SCHEMA)

CHARGE_LUA = (Path(__file__).parent / "limits.lua").read_text()

_VERDICT = "nova_rate_limit_verdict"


class Verdict(NamedTuple):
    """What the limiter said of one request."""

    is_allowed: bool
    limit: int
    remaining: int
    reset_ms: int
    retry_after_ms: int

    def headers(self) -> dict[str, str]:
        """Return the `RateLimit-*` fields, and `Retry-After` with a refusal."""
        fields = {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(math.ceil(self.reset_ms / 1000)),
            "RateLimit-Policy": f"{self.limit};w={WINDOW_MS // 1000}",
        }
        if not self.is_allowed:
            fields["Retry-After"] = str(max(1, math.ceil(self.retry_after_ms / 1000)))
        return fields

    def raw_headers(self) -> list[tuple[bytes, bytes]]:
        """Return them as ASGI takes them."""
        return [(name.lower().encode(), value.encode()) for name, value in self.headers().items()]


def refusal(verdict: Verdict) -> TooManyRequestsError:
    """Return the problem for a refused request."""
    seconds = verdict.headers()["Retry-After"]
    return TooManyRequestsError(
        f"At most {verdict.limit} requests in {WINDOW_MS // 1000} seconds; "
        f"try again in {seconds} s.",
        headers=verdict.headers(),
    )


def viewer_key(viewer_id: int) -> str:
    """Return the key of a viewer's count, in the hash slot of everything else of the viewer."""
    return f"limit:v1:{{{viewer_id}}}"


def address_key(address: str) -> str:
    """Return the key of an anonymous client's count."""
    return f"limit:v1:address:{address}"


class Limiter:
    """Charges requests; without Redis everything passes (a limit protects, it is not a feature)."""

    def __init__(self, redis: RedisStore, per_minute: int) -> None:
        self.per_minute = per_minute
        self._redis = redis
        self._script = redis.client.register_script(
            CHARGE_LUA + "\nreturn charge(KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]))"
        )

    def verdict(self, reply: list[int]) -> Verdict:
        """Read what `charge` returned."""
        return Verdict(bool(reply[0]), self.per_minute, reply[1], reply[2], reply[3])

    async def charge(self, key: str) -> Verdict | None:
        """Count one request; None when Redis is away."""
        try:
            reply = await self._redis.run(
                lambda: self._script(keys=[key], args=[self.per_minute, WINDOW_MS])
            )
        except StoreUnavailableError:
            return None
        return self.verdict(cast("list[int]", reply))


def remember(scope: Scope, verdict: Verdict | None) -> None:
    """Note that a request has been charged; its response gets the headers."""
    scope["state"][_VERDICT] = verdict


class ChargeMiddleware:
    """
    Charges the viewer before the handler runs, unless the handler charges itself.

    Not a guard: Litestar copies the route's handler for each call of one, which costs as much as
    the charge.
    """

    def __init__(self, app: ASGIApp, limiter: Limiter) -> None:
        self._app = app
        self._limiter = limiter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Charge one request, or refuse it."""
        viewer: Viewer | None = scope.get("user")
        if viewer is not None and scope["route_handler"].opt.get(LIMIT_OPT) != LIMITED_BY_HANDLER:
            verdict = await self._limiter.charge(viewer_key(viewer.user_id))
            remember(scope, verdict)
            if verdict is not None and not verdict.is_allowed:
                raise refusal(verdict)
        await self._app(scope, receive, send)


def authorization_of(scope: Scope) -> str:
    """Return the request's `Authorization` field, empty when it has none."""
    for name, value in scope["headers"]:
        if name == b"authorization":
            return value.decode("latin-1")
    return ""


class RateLimitMiddleware:
    """
    Adds the headers, and charges what nobody charged: unknown addresses, refused tokens, bad input.

    Those are charged when their answer begins, so that guessing tokens or cursors is limited too;
    clients without a viewer are told apart by address.
    """

    def __init__(self, app: ASGIApp, limiter: Limiter, tokens: VerifiedTokens) -> None:
        self._app = app
        self._limiter = limiter
        self._tokens = tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wrap one request."""
        if scope["type"] != ScopeType.HTTP or is_below(scope["path"], EXEMPT):
            await self._app(scope, receive, send)
            return
        is_replaced = False

        async def send_with_headers(message: Message) -> None:
            nonlocal is_replaced
            # A refusal has its headers and was not counted.
            if message["type"] == "http.response.start" and message["status"] != REFUSED:
                state = scope["state"]
                if _VERDICT not in state:
                    verdict = await self._limiter.charge(self._key(scope))
                    remember(scope, verdict)
                    if verdict is not None and not verdict.is_allowed:
                        is_replaced = True
                        await self._refuse(verdict, scope, receive, send)
                        return
                verdict = state[_VERDICT]
                if verdict is not None:
                    message["headers"] = [*message["headers"], *verdict.raw_headers()]
            if not is_replaced:
                await send(message)

        await self._app(scope, receive, send_with_headers)

    def _key(self, scope: Scope) -> str:
        viewer = scope.get("user")
        if not isinstance(viewer, Viewer):
            # Routes read tokens, and a 404 or a 405 has no route.
            with contextlib.suppress(UnauthenticatedError):
                viewer, _ = self._tokens.verify_header(authorization_of(scope))
        if isinstance(viewer, Viewer):
            return viewer_key(viewer.user_id)
        client = scope.get("client")
        return address_key(client[0] if client else "unknown")

    async def _refuse(self, verdict: Verdict, scope: Scope, receive: Receive, send: Send) -> None:
        problem = refusal(verdict)
        response = problem_response(problem.problem(), problem.headers)
        request = scope["litestar_app"].request_class(scope)
        await response.to_asgi_response(app=None, request=request)(scope, receive, send)
