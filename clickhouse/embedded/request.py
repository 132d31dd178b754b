"""What a request asks for: its URL, headers and parameters, sorted into their roles."""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from clickhouse.embedded.errors import (
    AUTHENTICATION_FAILED,
    UNKNOWN_SETTING,
    ClickHouseError,
)
from clickhouse.embedded.sessions import parse_timeout

DEFAULT_FORMAT = "TabSeparated"
USER = "default"
# Parameters that steer HTTP itself; the engine does not know them or must not see them.
_HTTP_ONLY = frozenset(
    {
        "query",
        "database",
        "default_format",
        "query_id",
        "session_id",
        "session_timeout",
        "session_check",
        "user",
        "password",
        "quota_key",
        "role",
        "stacktrace",
        "compress",
        "decompress",
        "buffer_size",
        "http_response_buffer_size",
        "wait_end_of_query",
        "http_wait_end_of_query",
        "client_protocol_version",
        "close_session",
        "enable_http_compression",
        "http_zlib_compression_level",
        "send_progress_in_http_headers",
        "http_headers_progress_interval_ms",
        "add_http_cors_header",
        "http_response_headers",
        "http_write_exception_in_output_format",
        "cancel_http_readonly_queries_on_client_close",
        "readonly",
        # Every insert here is written before it is answered, which is the stronger promise.
        "async_insert",
        "wait_for_async_insert",
    }
)
_SETTING_NAME = re.compile(r"[A-Za-z_]\w*\Z", re.ASCII)


@dataclass(slots=True)
class QueryRequest:
    """One request for `/`, before its body is read."""

    method: str
    query: str
    query_id: str
    database: str | None
    default_format: str
    session_id: str | None
    session_timeout_seconds: float
    session_check: bool
    close_session: bool
    wait_end_of_query: bool
    compress_response: bool
    compression_level: int
    cancel_on_close: bool
    readonly: bool
    unsupported: str | None
    settings: dict[str, str] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)


def fields(query_string: str) -> dict[str, str]:
    """The decoded parameters of a URL; of repeated ones the last counts."""
    if not query_string:
        return {}
    return dict(parse_qsl(query_string, keep_blank_values=True, max_num_fields=10_000))


def parse(
    method: str, pairs: Mapping[str, str], headers: Mapping[str, str], new_query_id: str
) -> QueryRequest:
    """Sort parameters into settings, query parameters and the rest."""
    settings: dict[str, str] = {}
    params: dict[str, str] = {}
    for name, value in pairs.items():
        if name.startswith("param_"):
            params[name[6:]] = value
        elif name not in _HTTP_ONLY:
            if not _SETTING_NAME.match(name):
                raise ClickHouseError(UNKNOWN_SETTING, f"Unknown setting '{name}'")
            settings[name] = value
    get = pairs.get
    unsupported = next((name for name in ("compress", "decompress") if _flag(get(name))), None)
    return QueryRequest(
        method=method,
        query=get("query", ""),
        query_id=get("query_id") or new_query_id,
        database=get("database") or headers.get("x-clickhouse-database") or None,
        default_format=(
            get("default_format") or headers.get("x-clickhouse-format") or DEFAULT_FORMAT
        ),
        session_id=get("session_id") or None,
        session_timeout_seconds=parse_timeout(get("session_timeout")),
        session_check=_flag(get("session_check")),
        close_session=_flag(get("close_session")),
        wait_end_of_query=_flag(get("wait_end_of_query") or get("http_wait_end_of_query")),
        compress_response=_flag(get("enable_http_compression")),
        compression_level=_level(get("http_zlib_compression_level")),
        cancel_on_close=_flag(get("cancel_http_readonly_queries_on_client_close", "1")),
        # A GET may be repeated by anything between client and server, so it must not change data.
        readonly=method in ("GET", "HEAD") or get("readonly", "0") != "0",
        unsupported=unsupported,
        settings=settings,
        params=params,
    )


def check_password(password: str, headers: Mapping[str, str], pairs: Mapping[str, str]) -> None:
    """Raise AUTHENTICATION_FAILED unless the request carries the user and password."""
    if not password:
        # Without a password of our own any is welcome: clients send an empty or a left-over one.
        return
    user, given = _credentials(headers, pairs)
    same_user = hmac.compare_digest((user or USER).encode(), USER.encode())
    same_password = hmac.compare_digest(given.encode(), password.encode())
    if not (same_user and same_password):
        raise ClickHouseError(
            AUTHENTICATION_FAILED,
            f"{user or USER}: Authentication failed: password is incorrect, "
            "or there is no user with such name",
        )


def _credentials(headers: Mapping[str, str], pairs: Mapping[str, str]) -> tuple[str, str]:
    if "x-clickhouse-user" in headers or "x-clickhouse-key" in headers:
        return headers.get("x-clickhouse-user", ""), headers.get("x-clickhouse-key", "")
    scheme, _, encoded = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return "", ""
        return user, password
    return pairs.get("user", ""), pairs.get("password", "")


def _flag(text: str | None) -> bool:
    return text is not None and text.lower() not in ("", "0", "false")


def _level(text: str | None) -> int:
    return int(text) if text and text.isdigit() and 0 < int(text) < 23 else 3
