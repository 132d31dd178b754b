"""Whatever goes wrong is a problem+json, and never a library's words."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog.testing
from litestar import get, post
from litestar.exceptions import HTTPException
from litestar.params import FromQuery, RequestBody
from msgspec import Struct

from api import errors
from api.app import LARGEST_BODY_BYTES, create_app
from api.errors import FRAMEWORK_PROBLEMS, PROBLEM_BASE_URL, ProblemError
from api.settings import Settings
from tests.api.conftest import Api, Token, serving

SECRET_TEXT = "psycopg: password authentication failed for user postgres"


class Body(Struct):
    number: int


@pytest.fixture
async def odd(settings: Settings) -> AsyncIterator[Api]:
    """The service with routes that go wrong."""

    @post("/api/v1/test/body")
    async def takes_body(data: RequestBody[Body]) -> None: ...

    @get("/api/v1/test/crash")
    async def crashes() -> None:
        raise RuntimeError(SECRET_TEXT)

    @get("/api/v1/test/status")
    async def fails_with(status: FromQuery[int]) -> None:
        raise HTTPException(status_code=status, detail=SECRET_TEXT)

    app = create_app(settings)
    for handler in (takes_body, crashes, fails_with):
        app.register(handler)
    async with serving(settings, app) as api:
        yield api


def problem(response: httpx.Response, status: int, slug: str) -> dict[str, Any]:
    """Check what every problem has, and return it."""
    body: dict[str, Any] = response.json()
    assert response.status_code == body["status"] == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["x-request-id"]
    assert body["type"] == PROBLEM_BASE_URL + slug
    assert body["title"]
    return body


async def test_404(odd: Api, bearer: Token) -> None:
    problem(await odd.get("/api/v1/nothing", headers=bearer(1)), 404, "not-found")
    problem(await odd.get("/"), 404, "not-found")
    for unknown in ("/schema/nope", "/schema/no/pe", "/schema/assets/nope.js"):
        problem(await odd.get(unknown), 404, "not-found")


async def test_405_says_what_is_allowed(odd: Api, bearer: Token) -> None:
    response = await odd.post("/api/v1/reels", headers=bearer(1))
    problem(response, 405, "method-not-allowed")
    assert response.headers["allow"] == "GET, HEAD, OPTIONS"
    response = await odd.put("/api/v1/reels/1/comments", headers=bearer(1))
    assert response.headers["allow"] == "GET, HEAD, OPTIONS, POST"
    response = await odd.get("/api/v1/events", headers=bearer(1))
    assert response.headers["allow"] == "OPTIONS, POST"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=51", "limit"),
        ("limit=ten", "limit"),
        ("limit=9999999999999999999999", "limit"),
        ("algo=best", "algo"),
        (f"cursor={'a' * 513}", "cursor"),
    ],
)
async def test_400_names_the_parameter(odd: Api, bearer: Token, query: str, field: str) -> None:
    body = problem(
        await odd.get(f"/api/v1/reels?{query}", headers=bearer(1)), 400, "invalid-request"
    )
    assert [error["field"] for error in body["errors"]] == [field]
    assert body["errors"][0]["message"]


async def test_400_for_a_window_that_does_not_exist(odd: Api, bearer: Token) -> None:
    response = await odd.get("/api/v1/reels/trending?window=2h", headers=bearer(1))
    assert problem(response, 400, "invalid-request")["errors"][0]["field"] == "window"


async def test_400_names_the_field_of_a_body(odd: Api, bearer: Token) -> None:
    path = "/api/v1/test/body"
    wrong = await odd.post(path, headers=bearer(1), json={"number": "x"})
    assert problem(wrong, 400, "invalid-request")["errors"][0]["field"] == "number"
    broken = await odd.post(
        path, headers=bearer(1) | {"Content-Type": "application/json"}, content=b"{"
    )
    problem(broken, 400, "invalid-request")


async def test_413(odd: Api, bearer: Token) -> None:
    response = await odd.post(
        "/api/v1/test/body",
        headers=bearer(1) | {"Content-Type": "application/json"},
        content=b" " * (LARGEST_BODY_BYTES + 1),
    )
    problem(response, 413, "too-large")


async def test_422(odd: Api, bearer: Token) -> None:
    response = await odd.get("/api/v1/test/status?status=422", headers=bearer(1))
    problem(response, 422, "unprocessable")


async def test_a_crash_is_a_500_that_says_nothing(odd: Api, bearer: Token) -> None:
    """To the client; to us it says everything."""
    with structlog.testing.capture_logs() as logs:
        response = await odd.get(
            "/api/v1/test/crash", headers=bearer(1) | {"X-Request-Id": "find-me-7"}
        )
    body = problem(response, 500, "internal-error")
    assert "psycopg" not in response.text
    assert "detail" not in body
    assert response.headers["x-request-id"] == "find-me-7"
    [crash] = [line for line in logs if line["event"] == "crash"]
    assert crash["path"] == "/api/v1/test/crash"
    assert str(crash["exc_info"]) == SECRET_TEXT


async def test_a_client_that_hangs_up_in_its_body_is_no_fault_of_ours(
    settings: Settings, bearer: Token
) -> None:
    messages: list[Any] = [
        {"type": "http.request", "body": b'{"events": [', "more_body": True},
        {"type": "http.disconnect"},
    ]
    told: list[Any] = []

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        told.append(message)

    app = create_app(settings)
    headers = bearer(1) | {"Content-Type": "application/json", "Content-Length": "99"}
    scope: Any = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "http",
        "method": "POST",
        "path": "/api/v1/events",
        "raw_path": b"/api/v1/events",
        "root_path": "",
        "query_string": b"",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
        "state": {},
    }
    async with serving(settings, app) as api:
        with structlog.testing.capture_logs() as logs:
            await app(scope, receive, send)
        counted = (await api.get("/metrics")).text
    assert messages == []
    assert not [line for line in logs if line["event"] != "request"]
    assert told[0]["status"] == 499
    assert re.search(r'nova_http_request_seconds_count\{.*"/api/v1/events",status="499"\}', counted)


@pytest.mark.parametrize("status", [500, 502, 503, 504, 507])
async def test_details_of_servers_errors_stay_with_us(odd: Api, bearer: Token, status: int) -> None:
    response = await odd.get(f"/api/v1/test/status?status={status}", headers=bearer(1))
    assert response.headers["content-type"] == "application/problem+json"
    assert response.status_code >= 500
    assert "psycopg" not in response.text


async def test_request_ids(odd: Api) -> None:
    given = await odd.get("/health/live", headers={"X-Request-Id": "client-1.a:b"})
    assert given.headers["x-request-id"] == "client-1.a:b"
    for insane in ("a b", "x" * 129, "<script>", ""):
        made = await odd.get("/health/live", headers={"X-Request-Id": insane})
        assert re.fullmatch(r"[0-9a-f]{32}", made.headers["x-request-id"])
    ids = {(await odd.get("/health/live")).headers["x-request-id"] for _ in range(5)}
    assert len(ids) == 5


def test_every_kind_is_documented() -> None:
    slugs = {slug for slug, _ in FRAMEWORK_PROBLEMS.values()}
    kinds = [value for value in vars(errors).values() if isinstance(value, type)]
    slugs |= {kind.slug for kind in kinds if issubclass(kind, ProblemError)}
    page = (Path(errors.__file__).parent.parent / "docs" / "problems.md").read_text()
    assert slugs <= set(re.findall(r"^## ([a-z-]+)$", page, re.MULTILINE))
