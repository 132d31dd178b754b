"""The OpenAPI document: what operations have in common is said here, once for all of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from http import HTTPStatus
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from litestar import Response, Router
from litestar.exceptions import NotFoundException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, SwaggerRenderPlugin, YamlRenderPlugin
from litestar.openapi.spec import OpenAPI

from api.paths import SCHEMA

PAGE_ASSETS = f"{SCHEMA}/assets"

WHOLE = {"type": "integer", "minimum": 0}

HEADERS: dict[str, dict[str, Any]] = {
    "X-Request-Id": {
        "description": "The one sent, or a new one; it is in our log",
        "required": True,
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._:@/+=-]{1,128}$"},
    },
    "RateLimit-Limit": {
        "description": "Requests in a window (count). Like the next three, not there without Redis",
        "schema": WHOLE,
    },
    "RateLimit-Remaining": {"description": "Requests left (count)", "schema": WHOLE},
    "RateLimit-Reset": {"description": "Time until the window ends (seconds)", "schema": WHOLE},
    "RateLimit-Policy": {
        "description": "Requests and window (seconds)",
        "schema": {"type": "string", "pattern": "^[0-9]+;w=[0-9]+$"},
    },
    "Retry-After": {
        "description": "When to try again (seconds)",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    },
    "WWW-Authenticate": {
        "description": "Which scheme to use",
        "required": True,
        "schema": {"type": "string", "pattern": "^Bearer"},
    },
}
OF_LIMITED = tuple(name for name in HEADERS if name.startswith("RateLimit-"))
BY_STATUS = {"401": ("WWW-Authenticate",), "429": ("Retry-After",), "503": ("Retry-After",)}


def header_names(status: str, *, is_limited: bool) -> tuple[str, ...]:
    """Return the header fields of an answer; free addresses are health checks, without advice."""
    return ("X-Request-Id", *((*OF_LIMITED, *BY_STATUS.get(status, ())) if is_limited else ()))


@dataclass
class Document(OpenAPI):
    """Litestar's document, made exact."""

    def to_schema(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        document = super().to_schema()
        for operation in operations(document):
            for parameter in operation.get("parameters", ()):
                parameter["schema"] = without_null(parameter["schema"])
            is_limited = operation.get("security") != [{}]
            for status, response in operation["responses"].items():
                response["headers"] = response.get("headers", {}) | {
                    name: {"$ref": f"#/components/headers/{name}"}
                    for name in header_names(status, is_limited=is_limited)
                }
        components = document["components"]
        components["headers"] = HEADERS
        # Litestar makes examples up: at random, out of bounds, and others in every worker.
        components["schemas"] = without_examples(components["schemas"])
        return document


@dataclass
class DocumentConfig(OpenAPIConfig):
    """Makes our kind of document."""

    def to_openapi_schema(self) -> OpenAPI:
        """Return the document without its paths, which Litestar adds."""
        plain = super().to_openapi_schema()
        return Document(**{field.name: getattr(plain, field.name) for field in fields(plain)})


def operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Return every operation of a document."""
    for item in document["paths"].values():
        yield from item.values()


def without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a parameter's schema as a query can send it: left out, but never null."""
    choices = [choice for choice in schema.get("oneOf", ()) if choice != {"type": "null"}]
    if len(choices) != 1:
        return schema
    rest = {name: value for name, value in schema.items() if name != "oneOf"}
    return {**choices[0], **rest}


def without_examples(node: Any) -> Any:
    """Return a piece of JSON schema without `examples`."""
    if isinstance(node, list):
        return [without_examples(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        name: without_examples(value)
        for name, value in node.items()
        if not (name == "examples" and isinstance(value, list))
    }


async def problem_for_unknown_page(response: Response[Any]) -> Response[Any]:
    """Turn Litestar's own HTML page for an address below `/schema` into a problem."""
    if response.status_code == HTTPStatus.NOT_FOUND:
        raise NotFoundException
    return response


def document_config() -> OpenAPIConfig:
    """Return the document and its page; the page's scripts are ours, so it works offline."""
    return DocumentConfig(
        title="Nova Feed",
        version=version("nova-feed"),
        description="Ranked feeds of short videos. Ids are strings; times are RFC 3339 in UTC.",
        openapi_router=Router(
            SCHEMA,
            route_handlers=[],
            after_request=problem_for_unknown_page,
            include_in_schema=False,
        ),
        render_plugins=[
            SwaggerRenderPlugin(
                path=["/", "/swagger"],
                js_url=f"{PAGE_ASSETS}/swagger-ui-bundle.js",
                css_url=f"{PAGE_ASSETS}/swagger-ui.css",
                standalone_preset_js_url=f"{PAGE_ASSETS}/swagger-ui-standalone-preset.js",
            ),
            JsonRenderPlugin(),
            YamlRenderPlugin(),
        ],
    )


def page_assets() -> Path:
    """Return the folder of the Swagger UI the `swagger-ui-py` wheel carries."""
    found = find_spec("swagger_ui")
    if found is None or found.origin is None:
        raise RuntimeError("swagger-ui-py is not installed")
    return Path(found.origin).parent / "static"
