"""multipart/form-data: parameters too long for a URL, and external tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from multipart import (  # type: ignore[import-untyped]
    MultipartError,
    MultipartSegment,
    PushMultipartParser,
    parse_options_header,
)

from clickhouse.embedded.connections import quote_identifier
from clickhouse.embedded.errors import (
    BAD_ARGUMENTS,
    QUERY_IS_TOO_LARGE,
    ClickHouseError,
)

# Fields and tables together are held in memory (bytes).
_MAX_FORM_BYTES = 256 << 20


@dataclass(slots=True)
class ExternalTable:
    """Rows sent along with a query, which sees them as a temporary table."""

    name: str
    format: str
    # The columns as in `create table`.
    structure: str
    data: bytes

    def create_statement(self) -> str:
        """The statement that makes the empty table."""
        return f"create temporary table {quote_identifier(self.name)} ({self.structure})"

    def insert_statement(self) -> bytes:
        """The statement its rows are inserted with."""
        return f"insert into {quote_identifier(self.name)}".encode()


@dataclass(slots=True)
class Form:
    """What a multipart body holds."""

    fields: dict[str, str] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)

    def external_tables(self, parameters: Mapping[str, str]) -> list[ExternalTable]:
        """The files as tables, described by `<name>_structure` or `_types`, and `_format`."""
        return [_external_table(name, data, parameters) for name, data in self.files.items()]


def is_form(content_type: str) -> bool:
    """True for a multipart body; curl's default content type means nothing."""
    return content_type.lower().startswith("multipart/form-data")


def read_form(chunks: Iterable[bytes], content_type: str) -> Form:
    """Read a whole form."""
    _, options = parse_options_header(content_type)
    form = Form()
    name, is_file, pieces, size = "", False, list[bytes](), 0
    try:
        with PushMultipartParser(options.get("boundary", ""), max_header_size=1 << 16) as parser:
            for data in chunks:
                size += len(data)
                if size > _MAX_FORM_BYTES:
                    raise ClickHouseError(
                        QUERY_IS_TOO_LARGE, f"The form is larger than {_MAX_FORM_BYTES} bytes"
                    )
                for event in parser.parse(data):
                    if isinstance(event, MultipartSegment):
                        name, is_file, pieces = event.name or "", event.filename is not None, []
                    elif event is not None:
                        pieces.append(bytes(event))
                    elif is_file:
                        form.files[name] = b"".join(pieces)
                    else:
                        form.fields[name] = b"".join(pieces).decode("utf-8", "replace")
    except MultipartError as exc:
        raise ClickHouseError(BAD_ARGUMENTS, f"Cannot read the form: {exc}") from exc
    return form


def _external_table(name: str, data: bytes, parameters: Mapping[str, str]) -> ExternalTable:
    structure = parameters.get(f"{name}_structure", "")
    types = parameters.get(f"{name}_types", "")
    if not structure and types:
        columns = _split_types(types)
        structure = ", ".join(f"_{at} {column}" for at, column in enumerate(columns, start=1))
    if not structure:
        raise ClickHouseError(
            BAD_ARGUMENTS, f"Neither {name}_structure nor {name}_types of an external table is set"
        )
    table_format = parameters.get(f"{name}_format", "TabSeparated")
    return ExternalTable(name, table_format, structure, data)


def _split_types(types: str) -> list[str]:
    """Split at commas that are not inside brackets: `Array(UInt8), Map(String, UInt8)` is two."""
    parts, depth = [""], 0
    for letter in types:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]
