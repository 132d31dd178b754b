"""Structured logs, request ids and request timing: one line per request, JSON or for a console."""

from __future__ import annotations

import logging
import re
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any, TextIO

import msgspec
import structlog
from litestar.enums import HttpMethod, ScopeType
from litestar.types import (
    ASGIApp,
    HTTPReceiveMessage,
    HTTPScope,
    Message,
    Receive,
    Scope,
    Send,
    WebSocketReceiveMessage,
)

from api.auth import Viewer
from api.errors import ClientGoneError
from api.metrics import REQUEST_SECONDS
from api.paths import HEALTH, METRICS, is_below
from api.settings import Settings

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}

# What an incoming X-Request-Id may look like; anything else is replaced, never logged.
SANE_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:@/+=-]{1,128}")

# Too frequent and too dull for the log.
UNLOGGED = (*HEALTH, METRICS)

# Clients may invent methods, and every label value is a series that is kept for good.
KNOWN_METHODS = frozenset(method.value for method in HttpMethod)

REQUEST = "nova_request"

access_log = structlog.get_logger("api.access")


class RequestRecord(msgspec.Struct):
    """What is known of one request; handlers add what only they know, for the log line."""

    request_id: str
    started: float
    cache_hit: bool | None = None
    degraded: str | None = None
    rows: int | None = None

    def elapsed_ms(self) -> float:
        """Return the time since the request came in (milliseconds)."""
        return round((time.perf_counter() - self.started) * 1000, 3)


def record_of(scope: Scope) -> RequestRecord:
    """Return the record of the request being served."""
    record: RequestRecord = scope["state"][REQUEST]
    return record


_encode = msgspec.json.Encoder().encode


def _as_json(event: dict[str, Any], **_: Any) -> str:
    return msgspec.json.encode(event, enc_hook=str).decode()


def configure_logging(settings: Settings, stream: TextIO | None = None) -> None:
    """Set structlog up for the process; standard library loggers go the same way."""
    stream = stream or sys.stderr
    is_json = settings.log_format == "json"
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if is_json:
        shared.append(structlog.processors.format_exc_info)
        renderer: Any = structlog.processors.JSONRenderer(serializer=_as_json)
    else:
        renderer = structlog.dev.ConsoleRenderer(
            colors=stream.isatty(),
            # The default prints local variables, tokens and passwords among them.
            exception_formatter=structlog.dev.plain_traceback,
        )
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[settings.log_level]),
        logger_factory=structlog.WriteLoggerFactory(file=stream),
        cache_logger_on_first_use=True,
    )
    global _log_access
    if LEVELS[settings.log_level] > LEVELS["info"]:
        _log_access = _no_access
    else:
        _log_access = _json_access(stream) if is_json else _console_access
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(max(LEVELS[settings.log_level], logging.WARNING))


def _console_access(line: dict[str, Any]) -> None:
    access_log.info(**line)


def _json_access(stream: TextIO) -> Callable[[dict[str, Any]], None]:
    """Return what writes a line as the processors would, for a tenth of their time."""

    def write(line: dict[str, Any]) -> None:
        line |= {"level": "info", "timestamp": datetime.now(UTC)}
        stream.write(_encode(line).decode() + "\n")
        stream.flush()

    return write


def _no_access(_: dict[str, Any]) -> None:
    """Log nothing."""


_log_access: Callable[[dict[str, Any]], None] = _console_access


class RequestMiddleware:
    """Outermost: gives the request its id, and logs and measures it when its answer is complete."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wrap one request."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        record = RequestRecord(request_id_of(scope), time.perf_counter())
        scope["state"][REQUEST] = record
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=record.request_id)
        status = 500
        is_body_due, is_answered = True, False

        async def receive_whole() -> HTTPReceiveMessage | WebSocketReceiveMessage:
            nonlocal is_body_due
            message = await receive()
            if message["type"] == "http.request":
                is_body_due = message.get("more_body", False)
            elif is_body_due and not is_answered:
                # Litestar takes this for a fault of the server.
                raise ClientGoneError
            return message

        async def send_with_id(message: Message) -> None:
            nonlocal status, is_answered
            if message["type"] == "http.response.start":
                is_answered = True
                status = message["status"]
                id_header = b"x-request-id", record.request_id.encode()
                message["headers"] = [*message["headers"], id_header]
            await send(message)

        try:
            await self._app(scope, receive_whole, send_with_id)
        finally:
            self._finish(scope, record, status)

    def _finish(self, scope: HTTPScope, record: RequestRecord, status: int) -> None:
        elapsed_ms = record.elapsed_ms()
        route = scope.get("path_template") or "unmatched"
        method = scope["method"] if scope["method"] in KNOWN_METHODS else "other"
        REQUEST_SECONDS.labels(method, route, str(status)).observe(elapsed_ms / 1000)
        if is_below(scope["path"], UNLOGGED) and status < 500:
            return
        viewer = scope.get("user")
        line: dict[str, Any] = {
            "viewer": str(viewer.user_id) if isinstance(viewer, Viewer) else None,
            "method": scope["method"],
            "path": scope["path"],
            "status": status,
            "ms": elapsed_ms,
        }
        for name in ("cache_hit", "degraded", "rows"):
            value = getattr(record, name)
            if value is not None:
                line[name] = value
        _log_access(line | {"event": "request", "request_id": record.request_id})


def request_id_of(scope: Scope) -> str:
    """Return the client's request id when it is sane, else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            return value.decode() if SANE_REQUEST_ID.fullmatch(value) else token_hex(16)
    return token_hex(16)
