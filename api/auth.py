"""Who is asking: bearer tokens (JWT), through Litestar's middleware with our rules on top."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import jwt
from litestar.connection import ASGIConnection, Request
from litestar.datastructures import State
from litestar.exceptions import NotAuthorizedException
from litestar.handlers import BaseRouteHandler
from litestar.middleware.authentication import AuthenticationResult
from litestar.security.jwt import JWTAuth, Token
from litestar.security.jwt.middleware import JWTAuthenticationMiddleware
from msgspec import Struct

from api.errors import ForbiddenError, UnauthenticatedError
from api.paths import SCHEMA
from api.settings import Settings

ADMIN_ROLE = "admin"
LONGEST_USER_ID = 19  # digits
LARGEST_USER_ID = 2**63 - 1

Algorithm = Literal["HS256", "RS256"]
CHALLENGE = {"WWW-Authenticate": 'Bearer realm="nova-feed"'}

# Verified tokens kept per process (count); verifying RS256 costs more than the rest of a hit.
VERIFIED_TOKENS_MAX = 10_000


class Viewer(Struct, frozen=True):
    """The user a token speaks for."""

    user_id: int
    is_admin: bool = False


ViewerRequest = Request[Viewer, Any, State]


class ViewerToken(Token):
    """A token as clients send it: `iat` may be missing, `sub` may be a number."""

    @classmethod
    def decode_payload(
        cls,
        encoded_token: str,
        secret: str,
        algorithms: list[str],
        issuer: Any = None,
        audience: Any = None,
        options: Any = None,
    ) -> Any:
        """Decode and verify; fill in what Litestar insists on and RFC 7519 does not."""
        lenient: Any = {**(options or {}), "verify_sub": False}
        payload = super().decode_payload(
            encoded_token, secret, algorithms, issuer=issuer, audience=audience, options=lenient
        )
        payload.setdefault("iat", int(time.time()))
        if type(payload.get("sub")) is int:
            payload["sub"] = str(payload["sub"])
        return payload


class VerifiedTokens:
    """Tokens this process has verified, until they expire; the oldest leaves first."""

    def __init__(self, settings: Settings) -> None:
        self._keys: dict[str, str] = {}
        if settings.jwt_secret:
            self._keys["HS256"] = settings.jwt_secret
        if settings.jwt_public_key:
            self._keys["RS256"] = settings.jwt_public_key
        self._known: dict[str, tuple[Viewer, Token, float]] = {}

    def verify_header(self, authorization: str) -> tuple[Viewer, Token]:
        """Return the viewer of an `Authorization` field; raises `UnauthenticatedError`."""
        scheme, _, encoded = authorization.partition(" ")
        if scheme.lower() != "bearer" or not encoded:
            raise UnauthenticatedError("Send `Authorization: Bearer <token>`.", headers=CHALLENGE)
        return self.verify(encoded.strip())

    def verify(self, encoded: str) -> tuple[Viewer, Token]:
        """
        Return the viewer of a token; raises `UnauthenticatedError`.

        Each algorithm has a key of its own, so a public key can never pass for a shared secret.
        """
        known = self._known.get(encoded)
        if known is not None:
            if known[2] > time.time():
                return known[0], known[1]
            del self._known[encoded]
        viewer, token = self._decode(encoded)
        if len(self._known) >= VERIFIED_TOKENS_MAX:
            del self._known[next(iter(self._known))]
        self._known[encoded] = viewer, token, token.exp.timestamp()
        return viewer, token

    def _decode(self, encoded: str) -> tuple[Viewer, Token]:
        try:
            algorithm = str(jwt.get_unverified_header(encoded).get("alg", ""))
            key = self._keys[algorithm]
        except (jwt.InvalidTokenError, KeyError) as exc:
            raise UnauthenticatedError(
                f"The token must be signed with {' or '.join(self._keys)}.", headers=CHALLENGE
            ) from exc
        try:
            token = ViewerToken.decode(
                encoded, secret=key, algorithm=algorithm, require_claims=("exp", "sub")
            )
        except NotAuthorizedException as exc:
            raise UnauthenticatedError(
                "The token's signature, times or claims do not hold; `exp` and `sub` are required.",
                headers=CHALLENGE,
            ) from exc
        subject = token.sub
        # Length first: converting thousands of digits is refused by Python with another error.
        is_number = len(subject) <= LONGEST_USER_ID and subject.isascii() and subject.isdecimal()
        if not (is_number and int(subject) <= LARGEST_USER_ID):
            raise UnauthenticatedError(
                "`sub` must be a user id: a whole number below 2^63.", headers=CHALLENGE
            )
        return Viewer(int(subject), token.extras.get("role") == ADMIN_ROLE), token


class BearerMiddleware(JWTAuthenticationMiddleware):
    """Reads `Authorization: Bearer`, strictly, and takes both algorithms we are configured for."""

    tokens: VerifiedTokens

    async def authenticate_request(
        self, connection: ASGIConnection[Any, Any, Any, Any]
    ) -> AuthenticationResult:
        """Return the viewer of the request; raises `UnauthenticatedError`."""
        viewer, token = self.tokens.verify_header(connection.headers.get("authorization", ""))
        return AuthenticationResult(user=viewer, auth=token)


async def viewer_of(token: Token, _: ASGIConnection[Any, Any, Any, Any]) -> Viewer:
    """Return the viewer a verified token speaks for."""
    return Viewer(int(token.sub), token.extras.get("role") == ADMIN_ROLE)


def jwt_auth(settings: Settings, tokens: VerifiedTokens) -> JWTAuth[Viewer, Token]:
    """Return Litestar's JWT security: our middleware, and its part of the OpenAPI document."""
    middleware = type("BearerMiddleware", (BearerMiddleware,), {"tokens": tokens})
    return JWTAuth[Viewer, Token](
        retrieve_user_handler=viewer_of,
        token_cls=ViewerToken,
        # Litestar signs and verifies with one key; ours are chosen per token by the middleware.
        token_secret=settings.jwt_secret or settings.jwt_public_key,
        algorithm="HS256" if settings.jwt_secret else "RS256",
        authentication_middleware_class=middleware,
        require_claims=("exp", "sub"),
        exclude=[f"^{SCHEMA}(/|$)"],
        description="`sub` is the user id, `exp` is required, `role=admin` opens admin addresses.",
    )


def require_admin(connection: ASGIConnection[Any, Viewer, Any, Any], _: BaseRouteHandler) -> None:
    """Guard: let only `role=admin` pass."""
    if not connection.user.is_admin:
        raise ForbiddenError("This needs a token with `role=admin`.")


def issue_token(
    settings: Settings, *, user_id: int, ttl_seconds: int, is_admin: bool = False
) -> str:
    """
    Return a token signed with our own secret (HS256), for local use and tests.

    Raises `ValueError` where only a public key is configured: somebody else issues tokens there.
    """
    if not settings.jwt_secret:
        raise ValueError("only a public key is configured: tokens are issued elsewhere")
    now = datetime.now(UTC)
    claims: dict[str, Any] = {
        "sub": str(user_id),
        "iat": now,
        "exp": now + timedelta(seconds=ttl_seconds),
    }
    if is_admin:
        claims["role"] = ADMIN_ROLE
    return jwt.encode(claims, settings.jwt_secret, algorithm="HS256")
