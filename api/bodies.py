"""Bodies of requests: JSON, read strictly and in one go, refused by the name of the field."""

from __future__ import annotations

import re
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar, get_args

import msgspec
from litestar.dto import AbstractDTO
from litestar.dto.data_structures import DTOFieldDefinition
from litestar.openapi.spec import Operation, Reference, Schema
from litestar.typing import FieldDefinition

from api.errors import (
    WHOLE_BODY,
    FieldError,
    InvalidRequestError,
    UnsupportedMediaTypeError,
)
from api.patterns import in_words

T = TypeVar("T")

# Where an error of msgspec happened stands at its end, as a path from the body: `$.events[3]`.
ERROR_PATH = re.compile(r"^(?P<message>.*?)(?: - at `\$(?P<path>[^`]*)`)?$", re.DOTALL)
MISSING = re.compile(r"^Object missing required field `(?P<field>[^`]+)`$")


class Unread(Generic[T]):
    """A body its handler reads itself, because it wants the bytes too."""

    def __init__(self, raw: bytes, decoder: msgspec.json.Decoder[T]) -> None:
        self.raw = raw
        self._decoder = decoder

    def read(self) -> T:
        """Return the body; raises `InvalidRequestError` naming the field."""
        return read(self.raw, self._decoder)


class Reader(NamedTuple):
    """How the body of one handler is read."""

    decoder: msgspec.json.Decoder[Any]
    is_left_unread: bool


class JsonBody(AbstractDTO[Any]):
    """
    Makes a handler's `data` of the request's body.

    Litestar's own way is lenient ("1" passes for 1), builds the body twice and takes any media
    type. The document says what is annotated, and that is what is taken.
    """

    model_type = object
    _readers: ClassVar[dict[str, Reader]] = {}

    def decode_bytes(self, value: bytes) -> Any:
        """Return what the handler is annotated with; raises a problem."""
        content_type = self.asgi_connection.headers.get("content-type", "application/json")
        if content_type.partition(";")[0].strip().lower() != "application/json":
            raise UnsupportedMediaTypeError("Send the body as `application/json`.")
        reader = self._readers[self.asgi_connection.route_handler.handler_id]
        if reader.is_left_unread:
            return Unread(value, reader.decoder)
        return read(value, reader.decoder)

    @classmethod
    def create_for_field_definition(
        cls, field_definition: FieldDefinition, handler_id: str, backend_cls: Any = None
    ) -> None:
        """Note what a handler takes."""
        annotation = body_type(field_definition)
        cls._readers[handler_id] = Reader(
            msgspec.json.Decoder(annotation), annotation is not field_definition.annotation
        )

    @classmethod
    def create_openapi_schema(
        cls, field_definition: FieldDefinition, handler_id: str, schema_creator: Any
    ) -> Reference | Schema:
        """Return the schema of what is sent."""
        return ExactSchema(exact=json_schema(body_type(field_definition)))

    @classmethod
    def is_supported_model_type_field(cls, field_definition: FieldDefinition) -> bool:
        """Say that answers are not ours."""
        return False

    @classmethod
    def generate_field_definitions(
        cls, model_type: type[Any]
    ) -> Generator[DTOFieldDefinition, None, None]:
        """Return nothing: fields are not renamed or left out."""
        yield from ()

    @classmethod
    def detect_nested_field(cls, field_definition: FieldDefinition) -> bool:
        """Say no, for the same reason."""
        return False


@dataclass
class ExactSchema(Schema):
    """A schema as msgspec makes it; Litestar's leaves out what limits the members of unions."""

    exact: dict[str, Any] = field(default_factory=dict)

    def to_schema(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return self.exact


def json_schema(annotation: Any) -> dict[str, Any]:
    """Return the JSON schema of a type, in one piece; no type may hold itself."""
    [root], parts = msgspec.json.schema_components([annotation], ref_template="{name}")

    def whole(node: Any) -> Any:
        if isinstance(node, list):
            return [whole(item) for item in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            return whole(parts[node["$ref"]])
        return {name: whole(value) for name, value in node.items()}

    schema: dict[str, Any] = whole(root)
    return schema


def body_type(field_definition: FieldDefinition) -> Any:
    """Return the type of the body itself, without `Unread` around it."""
    if field_definition.origin is Unread:
        return get_args(field_definition.annotation)[0]
    return field_definition.annotation


def read(raw: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """Return a body; raises `InvalidRequestError` naming the field."""
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as exc:
        error = field_error(exc)
    except (msgspec.DecodeError, UnicodeDecodeError):
        error = FieldError(WHOLE_BODY, "is not valid JSON")
    except RecursionError:
        error = FieldError(WHOLE_BODY, "is nested too deeply")
    raise InvalidRequestError(f"{error.field}: {error.message}", errors=[error])


def field_error(exc: msgspec.ValidationError) -> FieldError:
    """Return which field msgspec refused, and why."""
    found = ERROR_PATH.match(str(exc))
    message, path = (found["message"], found["path"] or "") if found else (str(exc), "")
    missing = MISSING.match(message)
    if missing:
        path, message = f"{path}.{missing['field']}", "is required"
    return FieldError(path.lstrip(".") or WHOLE_BODY, in_words(message))


def with_example(value: Any) -> type[Operation]:
    """Return the `operation_class` of a handler whose body looks, for instance, like this."""

    @dataclass
    class Exemplified(Operation):
        def __post_init__(self) -> None:
            for content in getattr(self.request_body, "content", {}).values():
                content.example = value

    return Exemplified
