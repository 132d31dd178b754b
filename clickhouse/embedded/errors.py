"""ClickHouse's error codes, as text and as HTTP statuses, the way the server answers them."""

from __future__ import annotations

import re

BAD_ARGUMENTS = 36
NOT_IMPLEMENTED = 48
SYNTAX_ERROR = 62
TIMEOUT_EXCEEDED = 159
READONLY = 164
TOO_MANY_SIMULTANEOUS_QUERIES = 202
SOCKET_TIMEOUT = 209
QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING = 216
UNKNOWN_DATABASE = 81
UNKNOWN_SETTING = 115
ABORTED = 236
CANNOT_DECOMPRESS = 271
SESSION_NOT_FOUND = 372
SESSION_IS_LOCKED = 373
INVALID_SESSION_TIMEOUT = 374
QUERY_WAS_CANCELLED = 394
QUERY_IS_TOO_LARGE = 513
AUTHENTICATION_FAILED = 516
UNKNOWN_EXCEPTION = 1002

NAMES = {
    BAD_ARGUMENTS: "BAD_ARGUMENTS",
    NOT_IMPLEMENTED: "NOT_IMPLEMENTED",
    SYNTAX_ERROR: "SYNTAX_ERROR",
    TIMEOUT_EXCEEDED: "TIMEOUT_EXCEEDED",
    READONLY: "READONLY",
    TOO_MANY_SIMULTANEOUS_QUERIES: "TOO_MANY_SIMULTANEOUS_QUERIES",
    SOCKET_TIMEOUT: "SOCKET_TIMEOUT",
    QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING: "QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING",
    UNKNOWN_DATABASE: "UNKNOWN_DATABASE",
    UNKNOWN_SETTING: "UNKNOWN_SETTING",
    ABORTED: "ABORTED",
    CANNOT_DECOMPRESS: "CANNOT_DECOMPRESS",
    SESSION_NOT_FOUND: "SESSION_NOT_FOUND",
    SESSION_IS_LOCKED: "SESSION_IS_LOCKED",
    INVALID_SESSION_TIMEOUT: "INVALID_SESSION_TIMEOUT",
    QUERY_WAS_CANCELLED: "QUERY_WAS_CANCELLED",
    QUERY_IS_TOO_LARGE: "QUERY_IS_TOO_LARGE",
    AUTHENTICATION_FAILED: "AUTHENTICATION_FAILED",
    UNKNOWN_EXCEPTION: "UNKNOWN_EXCEPTION",
}

# The server's own table (exceptionCodeToHTTPStatus); every code that is not here is a 500.
_STATUSES = (
    (400, (6, 8, 15, 25, 26, 27, 36, 38, 41, 44, 53, 62, 72, 117, 119, 167, 168, 223, 224)),
    (400, (321, 376, 427, 441, 456, 457, 675, 676)),
    (401, (194,)),
    (403, (192, 193, 497, 512, 516)),
    (404, (46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 336, 511)),
    (408, (159,)),
    (411, (381,)),
    (413, (513,)),
    (501, (48,)),
    (503, (76, 209, 439)),
)
HTTP_STATUS = {code: status for status, codes in _STATUSES for code in codes}

_CODE = re.compile(r"Code: (\d+)\. ?")
_NAMED = re.compile(r"\([A-Z0-9_]+\)( \(version [^)]*\))?\.?\s*$")


class ClickHouseError(Exception):
    """A statement that failed, with ClickHouse's code and its full text."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    @property
    def http_status(self) -> int:
        """The status the server answers with for this code."""
        return HTTP_STATUS.get(self.code, 500)

    def text(self, version: str) -> str:
        """One line, as the server writes it: `Code: 60. DB::Exception: … (UNKNOWN_TABLE) …`."""
        message = self.message.rstrip()
        if not message.startswith("Code: "):
            message = f"Code: {self.code}. DB::Exception: {message}"
        if not _NAMED.search(message):
            name = NAMES.get(self.code)
            message = f"{message} ({name})" if name else message
        if "(version " not in message:
            message = f"{message} (version {version} (official build))"
        return message + "\n"


def from_engine(error: BaseException) -> ClickHouseError:
    """Make a ClickHouseError of what the engine raised."""
    if isinstance(error, UnicodeDecodeError):
        # The engine's binding decodes the message as UTF-8 and loses it when it quotes raw bytes.
        return ClickHouseError(UNKNOWN_EXCEPTION, "The engine failed with an unreadable message")
    message = str(error)
    found = _CODE.search(message)
    if found is None:
        return ClickHouseError(UNKNOWN_EXCEPTION, message)
    return ClickHouseError(int(found[1]), message[found.start() :])
