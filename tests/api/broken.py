"""The service with operations that are not what the document says, each in its own way."""

from __future__ import annotations

from litestar import Litestar, Response, get
from litestar.exceptions import HTTPException
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromQuery
from msgspec import Struct

from api import app
from api.errors import problem_specs

SAID = problem_specs(400, 401, 429)


class Count(Struct):
    """What all of them promise."""

    number: int


PROMISED = {200: ResponseSpec(Count, description="A number"), **SAID}


@get("/api/v1/broken/crashes", responses=PROMISED)
async def crashes(number: FromQuery[int] = 0) -> Response[Count]:
    """Fail for one in some numbers."""
    return Response(Count(1 // (number % 3)))


@get("/api/v1/broken/teapot", responses=PROMISED)
async def teapot() -> Response[Count]:
    """Answer with a status that nobody announced."""
    raise HTTPException(status_code=418)


@get("/api/v1/broken/words", responses=PROMISED)
async def words() -> Response[dict[str, str]]:
    """Answer with another body than the schema."""
    return Response({"number": "many"})


@get("/api/v1/broken/page", responses=PROMISED)
async def page() -> Response[str]:
    """Answer with another media type."""
    return Response("<p>7</p>", media_type="text/html")


@get("/api/v1/broken/open", responses=PROMISED, opt={"exclude_from_auth": True})
async def open_to_all() -> Response[Count]:
    """Let everybody in."""
    return Response(Count(7))


@get("/api/v1/broken/strict", responses=PROMISED)
async def strict(word: FromQuery[str]) -> Response[Count]:
    """Refuse what the document allows."""
    raise HTTPException(status_code=400)


def create_app() -> Litestar:
    """Return the service with all of them."""
    made = app.create_app()
    for handler in (crashes, teapot, words, page, open_to_all, strict):
        made.register(handler)
    return made
