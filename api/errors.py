"""Errors of the API, all as `application/problem+json` (RFC 9457); see docs/problems.md."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.openapi.datastructures import ResponseSpec
from msgspec import UNSET, Struct, UnsetType

PROBLEM_MEDIA_TYPE = "application/problem+json"
# Identifies a kind of problem for good; a new address would be a new kind to clients.
PROBLEM_BASE_URL = "https://nova-feed.example/problems/"

log = structlog.get_logger(__name__)


class FieldError(Struct, frozen=True):
    """One field that was refused, and why."""

    field: str
    message: str


class Problem(Struct, frozen=True, omit_defaults=True):
    """The body of an error; `type` is stable, `title` and `detail` are for people."""

    type: str
    title: str
    status: int
    detail: str | UnsetType = UNSET
    errors: list[FieldError] | UnsetType = UNSET
    reason: str | UnsetType = UNSET


class ProblemError(Exception):
    """A problem to tell the client; subclasses say which kind."""

    status: ClassVar[int] = HTTPStatus.INTERNAL_SERVER_ERROR
    slug: ClassVar[str] = "internal-error"
    title: ClassVar[str] = "Something broke on our side"

    def __init__(
        self,
        detail: str = "",
        *,
        errors: list[FieldError] | None = None,
        reason: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail
        self.errors = errors or []
        self.reason = reason
        self.headers = dict(headers or {})

    def problem(self) -> Problem:
        """Return the body for the client."""
        return Problem(
            type=PROBLEM_BASE_URL + self.slug,
            title=self.title,
            status=int(self.status),
            detail=self.detail or UNSET,
            errors=self.errors or UNSET,
            reason=self.reason or UNSET,
        )


class InvalidRequestError(ProblemError):
    """A parameter or a body that cannot be read; `errors` names the fields."""

    status = HTTPStatus.BAD_REQUEST
    slug = "invalid-request"
    title = "The request is not valid"


class BadCursorError(ProblemError):
    """A cursor that does not hold; `reason` is one of five words."""

    status = HTTPStatus.BAD_REQUEST
    slug = "bad-cursor"
    title = "The cursor cannot be used"


class UnauthenticatedError(ProblemError):
    """No token, or one that does not hold."""

    status = HTTPStatus.UNAUTHORIZED
    slug = "unauthenticated"
    title = "A valid bearer token is required"


class ForbiddenError(ProblemError):
    """A good token without the role."""

    status = HTTPStatus.FORBIDDEN
    slug = "forbidden"
    title = "The token does not allow this"


class TooManyRequestsError(ProblemError):
    """The rate limit is used up."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    slug = "too-many-requests"
    title = "Too many requests"


class UnavailableError(ProblemError):
    """A store is away and nothing older can be served in its place."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    slug = "unavailable"
    title = "The service cannot answer right now"


# What the framework raises by itself, by status: slug and title.
FRAMEWORK_PROBLEMS: dict[int, tuple[str, str]] = {
    400: (InvalidRequestError.slug, InvalidRequestError.title),
    401: (UnauthenticatedError.slug, UnauthenticatedError.title),
    403: (ForbiddenError.slug, ForbiddenError.title),
    404: ("not-found", "There is nothing at this address"),
    405: ("method-not-allowed", "This address does not take that method"),
    406: ("not-acceptable", "None of the accepted media types can be made"),
    409: ("conflict", "The request does not fit the present state"),
    413: ("too-large", "The request is too large"),
    415: ("unsupported-media-type", "The body's media type is not understood"),
    422: ("unprocessable", "The request is well formed but cannot be carried out"),
    429: (TooManyRequestsError.slug, TooManyRequestsError.title),
    503: (UnavailableError.slug, UnavailableError.title),
}

# Details of these come from our own validation and name the client's input. Others may hold text
# of a library or a driver, which is no business of a client.
DETAIL_IS_OURS = frozenset({400, 403, 409, 413, 415, 422})


def problem_specs(*statuses: int) -> dict[int, ResponseSpec]:
    """Return what the OpenAPI document says of these errors of a route."""
    return {
        status: ResponseSpec(
            Problem,
            description=FRAMEWORK_PROBLEMS[status][1],
            media_type=PROBLEM_MEDIA_TYPE,
            generate_examples=False,
        )
        for status in statuses
    }


def field_errors(extra: Any) -> list[FieldError]:
    """Return the fields a validation error of the framework names."""
    if not isinstance(extra, list):
        return []
    return [
        FieldError(field=str(item.get("key", "")), message=str(item.get("message", "")))
        for item in extra
        if isinstance(item, dict)
    ]


def problem_response(problem: Problem, headers: Mapping[str, str]) -> Response[bytes]:
    """Return the response that carries a problem."""
    return Response(
        content=msgspec.json.encode(problem),
        status_code=problem.status,
        media_type=PROBLEM_MEDIA_TYPE,
        headers=dict(headers),
    )


def on_problem(_: Request[Any, Any, Any], exc: ProblemError) -> Response[bytes]:
    """Answer with one of our own problems."""
    return problem_response(exc.problem(), exc.headers)


def on_http_exception(request: Request[Any, Any, Any], exc: HTTPException) -> Response[bytes]:
    """Answer with the problem of a status the framework, or a handler, raised."""
    status = exc.status_code
    if status not in FRAMEWORK_PROBLEMS and status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return on_crash(request, exc)
    slug, title = FRAMEWORK_PROBLEMS.get(status, ("refused", "The request was refused"))
    errors = field_errors(exc.extra) if status < HTTPStatus.INTERNAL_SERVER_ERROR else []
    detail = exc.detail if status in DETAIL_IS_OURS else ""
    if isinstance(exc, ValidationException) and errors:
        detail = "; ".join(f"{error.field}: {error.message}" for error in errors)
    headers = dict(exc.headers or {})
    if status == HTTPStatus.UNAUTHORIZED:
        headers.setdefault("WWW-Authenticate", "Bearer")
    problem = Problem(
        type=PROBLEM_BASE_URL + slug,
        title=title,
        status=status,
        detail=detail or UNSET,
        errors=errors or UNSET,
    )
    return problem_response(problem, headers)


def on_crash(request: Request[Any, Any, Any], exc: Exception) -> Response[bytes]:
    """Log what happened, and tell the client only that something did."""
    log.error("crash", path=request.url.path, method=request.method, exc_info=exc)
    return problem_response(ProblemError().problem(), {})


EXCEPTION_HANDLERS: dict[int | type[Exception], Any] = {
    ProblemError: on_problem,
    HTTPException: on_http_exception,
    Exception: on_crash,
}
