"""Errors of the API, all as `application/problem+json` (RFC 9457); see docs/problems.md."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar

import msgspec
import structlog
from litestar import Request, Response
from litestar.enums import HttpMethod
from litestar.exceptions import HTTPException, ValidationException
from litestar.openapi.datastructures import ResponseSpec
from msgspec import UNSET, Struct, UnsetType

from api.patterns import in_words
from api.stores import StatementError, StoreUnavailableError

PROBLEM_MEDIA_TYPE = "application/problem+json"
# Identifies a kind of problem for good; a new address would be a new kind to clients.
PROBLEM_BASE_URL = "https://nova-feed.example/problems/"
WHOLE_BODY = "body"  # what errors call the body where no field of it is meant

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


class ClientGoneError(Exception):
    """The client hung up in the middle of its body; nobody is there to be answered."""

    status: ClassVar[int] = 499  # nginx's, for logs and metrics


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
    """A cursor that does not hold; `reason` is one of six words."""

    status = HTTPStatus.BAD_REQUEST
    slug = "bad-cursor"
    title = "The cursor cannot be used"


class UnauthenticatedError(ProblemError):
    """No token, or one that does not hold."""

    status = HTTPStatus.UNAUTHORIZED
    slug = "unauthenticated"
    title = "A valid bearer token is required"


class ForbiddenError(ProblemError):
    """A good token without the role, or for something that is somebody else's."""

    status = HTTPStatus.FORBIDDEN
    slug = "forbidden"
    title = "The token does not allow this"


class NotFoundError(ProblemError):
    """Something the request names never existed; `errors` says which field names it."""

    status = HTTPStatus.NOT_FOUND
    slug = "not-found"
    title = "What is asked for does not exist"


class GoneError(ProblemError):
    """Something the request names was deleted."""

    status = HTTPStatus.GONE
    slug = "gone"
    title = "What is asked for was deleted"


class UnsupportedMediaTypeError(ProblemError):
    """A body that is not JSON."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    slug = "unsupported-media-type"
    title = "The body's media type is not understood"


class KeyReusedError(ProblemError):
    """An `Idempotency-Key` that came before, with another request."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    slug = "idempotency-key-reused"
    title = "The idempotency key belongs to another request"


class TooManyRequestsError(ProblemError):
    """The rate limit is used up."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    slug = "too-many-requests"
    title = "Too many requests"


class UnavailableError(ProblemError):
    """A store is away: nothing older can be served in its place, or nothing can be stored."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    slug = "unavailable"
    title = "The service cannot answer right now"


# What Postgres refuses with; see app.refuse_input.
REFUSALS: dict[str, type[ProblemError]] = {
    "NV400": InvalidRequestError,
    "NV403": ForbiddenError,
    "NV404": NotFoundError,
    "NV410": GoneError,
    "NV422": KeyReusedError,
    "NV429": TooManyRequestsError,
}
RETRY_AFTER_SECONDS = 2  # no store's circuit stays open for longer

# What the framework raises by itself, by status: slug and title.
FRAMEWORK_PROBLEMS: dict[int, tuple[str, str]] = {
    400: (InvalidRequestError.slug, InvalidRequestError.title),
    401: (UnauthenticatedError.slug, UnauthenticatedError.title),
    403: (ForbiddenError.slug, ForbiddenError.title),
    404: (NotFoundError.slug, NotFoundError.title),
    405: ("method-not-allowed", "This address does not take that method"),
    406: ("not-acceptable", "None of the accepted media types can be made"),
    409: ("conflict", "The request does not fit the present state"),
    410: (GoneError.slug, GoneError.title),
    413: ("too-large", "The request is too large"),
    415: (UnsupportedMediaTypeError.slug, UnsupportedMediaTypeError.title),
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
    """Return the fields a validation error of the framework names, as the client calls them."""
    if not isinstance(extra, list):
        return []
    return [field_error(item) for item in extra if isinstance(item, dict)]


def field_error(item: dict[str, Any]) -> FieldError:
    """Return one of them; the framework calls some by the argument of the handler."""
    name, message = str(item.get("key", "")), str(item.get("message", ""))
    if name == "data":
        return FieldError(WHOLE_BODY, "is required")
    if item.get("source") == "header":
        name = name.replace("_", "-").title()
    return FieldError(name, in_words(message))


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


def on_store_away(request: Request[Any, Any, Any], exc: StoreUnavailableError) -> Response[bytes]:
    """Answer a request that cannot do without the store; which one is our business."""
    is_read = request.method == HttpMethod.GET
    detail = "Try again later." if is_read else "Nothing was acknowledged; try again later."
    return problem_response(
        UnavailableError(detail).problem(), {"Retry-After": str(RETRY_AFTER_SECONDS)}
    )


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


def on_client_gone(_: Request[Any, Any, Any], exc: ClientGoneError) -> Response[None]:
    """Answer nobody; what is left of the request is its line in the log."""
    return Response(None, status_code=exc.status)


def on_statement_error(_: Request[Any, Any, Any], exc: StatementError) -> Response[bytes]:
    """Answer as after any crash; what happened was logged where the statement is known."""
    return problem_response(ProblemError().problem(), {})


def on_crash(request: Request[Any, Any, Any], exc: Exception) -> Response[bytes]:
    """Log what happened, and tell the client only that something did."""
    log.error("crash", path=request.url.path, method=request.method, exc_info=exc)
    return problem_response(ProblemError().problem(), {})


EXCEPTION_HANDLERS: dict[int | type[Exception], Any] = {
    ProblemError: on_problem,
    StatementError: on_statement_error,
    StoreUnavailableError: on_store_away,
    ClientGoneError: on_client_gone,
    HTTPException: on_http_exception,
    Exception: on_crash,
}
