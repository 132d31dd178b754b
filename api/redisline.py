"""
One connection to Redis that all requests of a process share: for what every hit asks.

Commands are written as they come, their answers arrive in the same order (pipelining), so a command
costs the process a fraction of what redis-py's pool of connections takes (decision 46). Only for
answers that can be done without: whoever gets none asks through `RedisStore`.

On the same connection Redis tells of every change of the keys that are tracked, before it answers
anything that was asked after the change (its "client-side caching"; RESP3).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, cast

import hiredis
import structlog
from redis.asyncio import Connection, ConnectionPool, UnixDomainSocketConnection

from api.metrics import STORE_FAILURES, STORE_SECONDS

UNANSWERED_MAX = 1_024  # commands under way (count)
RECONNECT_SECONDS = 1.0
LOOKS_PER_TIMEOUT = 4

# Looked up once: every hit counts in them.
_SECONDS = STORE_SECONDS.labels("redis")
_FAILURES = STORE_FAILURES.labels("redis")

log = structlog.get_logger(__name__)

INVALIDATE = b"invalidate"

Reply = Any  # bytes, int, None or a list of these


Forget = Callable[[Sequence[bytes] | None], None]


class NoReplyError(Exception):
    """The line is down, full or too slow, or Redis refused the command."""


class _Wire(asyncio.Protocol):
    """One connection: commands in, answers out, in the same order."""

    def __init__(self, line: RedisLine) -> None:
        self._line = line
        self._reader = hiredis.Reader()
        self._transport: asyncio.Transport | None = None
        self._unanswered: deque[tuple[asyncio.Future[tuple[Reply, int]], float]] = deque()
        self._unsent: list[bytes] = []
        self._loop = asyncio.get_running_loop()

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    @property
    def unanswered(self) -> int:
        return len(self._unanswered)

    def ask(self, command: Sequence[Any]) -> asyncio.Future[tuple[Reply, int]]:
        """Send a command to an open wire; answers may be errors of Redis."""
        assert self._transport is not None
        answer: asyncio.Future[tuple[Reply, int]] = self._loop.create_future()
        self._unanswered.append((answer, time.monotonic()))
        # Written once per turn of the loop: a system call for each command takes longer than all
        # else that is done with it here.
        if not self._unsent:
            self._loop.call_soon(self._send)
        self._unsent.append(hiredis.pack_command(tuple(command)))
        return answer

    def _send(self) -> None:
        assert self._transport is not None
        self._transport.write(b"".join(self._unsent))
        self._unsent.clear()

    def overdue(self, seconds: float) -> asyncio.Future[tuple[Reply, int]] | None:
        """Return the oldest command if it waits for longer than that."""
        if self._unanswered and time.monotonic() - self._unanswered[0][1] > seconds:
            return self._unanswered[0][0]
        return None

    def cut(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # ---------- asyncio calls these

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        try:
            while (reply := self._reader.gets()) is not False:
                if isinstance(reply, hiredis.PushNotification):
                    self._line.told(reply)
                    continue
                answer, _ = self._unanswered.popleft()
                if not answer.done():
                    answer.set_result((reply, self._line.changes))
        except (hiredis.ProtocolError, IndexError):
            self.cut()

    def connection_lost(self, exc: Exception | None) -> None:
        self._line.told([INVALIDATE, None])
        while self._unanswered:
            answer, _ = self._unanswered.popleft()
            if not answer.done():
                answer.set_exception(NoReplyError())
                answer.exception()  # its caller may have left


class RedisLine:
    """
    The shared connection, opened again when it is lost, with scripts loaded.

    A command that has no answer within some `redis_timeout_ms` takes the line down, and everything
    that waits on it: behind an answer that does not come, none comes.
    """

    def __init__(self, pool: ConnectionPool, timeout_seconds: float) -> None:
        self._pool = pool
        self._timeout_seconds = timeout_seconds
        self._scripts: list[str] = []
        self._tracked: dict[bytes, list[Forget]] = {}
        # How many messages about changes there were (count).
        self.changes = 0
        self._wire: _Wire | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_stopping = False

    def load(self, script: str) -> None:
        """Have a script loaded with each connection."""
        self._scripts.append(script)

    def track(self, prefix: str, forget: Forget) -> None:
        """Have `forget` told the keys with a prefix that change; None when any may have."""
        self._tracked.setdefault(prefix.encode(), []).append(forget)

    async def start(self) -> None:
        """Connect if that is possible; go on trying in the background."""
        await self._connect()
        self._task = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        """Close the connection."""
        self._is_stopping = True
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._wire is not None:
            self._wire.cut()

    async def ask(self, *command: Any) -> Reply:
        """Return the answer to a command; raises `NoReplyError`."""
        return (await self.ask_as_of(*command))[0]

    async def ask_as_of(self, *command: Any) -> tuple[Reply, int]:
        """Return the answer, and how many `changes` there had been when it came, or raise."""
        wire = self._wire
        if wire is None or not wire.is_open or wire.unanswered >= UNANSWERED_MAX:
            raise NoReplyError
        began_at = time.perf_counter()
        try:
            reply, changes = await wire.ask(command)
        except NoReplyError:
            _FAILURES.inc()
            raise
        finally:
            _SECONDS.observe(time.perf_counter() - began_at)
        if isinstance(reply, Exception):
            # Most often a script that was flushed: it is loaded with the next connection.
            log.warning("redis_line_refused", error=str(reply)[:100])
            wire.cut()
            raise NoReplyError
        return reply, changes

    def told(self, message: Any) -> None:
        """Take what Redis says without being asked."""
        kind, keys = message
        if kind != INVALIDATE:
            return
        self.changes += 1
        for prefix, forgetting in self._tracked.items():
            mine = None if keys is None else [key for key in keys if key.startswith(prefix)]
            if mine is None or mine:
                for forget in forgetting:
                    forget(mine)

    async def _watch(self) -> None:
        """Cut a line that hangs, and open one where there is none."""
        overdue: asyncio.Future[tuple[Reply, int]] | None = None
        while not self._is_stopping:
            if self._wire is None or not self._wire.is_open:
                if not await self._connect():
                    await asyncio.sleep(RECONNECT_SECONDS)
            else:
                before, overdue = overdue, self._wire.overdue(self._timeout_seconds)
                # At the second look: after a process had no time itself, the answer may be there,
                # and is read in between.
                if overdue is not None and overdue is before:
                    self._wire.cut()
            await asyncio.sleep(self._timeout_seconds / LOOKS_PER_TIMEOUT)

    async def _connect(self) -> bool:
        """Open a connection and make it ready; says whether that went well."""
        given, kind = self._pool.connection_kwargs, self._pool.connection_class
        loop = asyncio.get_running_loop()
        wire: _Wire | None = None

        def made() -> _Wire:
            return _Wire(self)

        try:
            async with asyncio.timeout(self._timeout_seconds):
                if issubclass(kind, UnixDomainSocketConnection):
                    _, wire = await loop.create_unix_connection(made, given["path"])
                elif kind is Connection:
                    host, port = given.get("host", "localhost"), given.get("port", 6379)
                    _, wire = await loop.create_connection(made, host, port)
                else:  # encrypted: redis-py's alone
                    return False
                for command in self._greeting(given):
                    reply, _ = await wire.ask(command)
                    if isinstance(reply, Exception):
                        raise NoReplyError from reply
        except (OSError, TimeoutError, NoReplyError):
            if wire is not None:
                wire.cut()
            return False
        self._wire = wire
        return True

    def _greeting(self, given: dict[str, Any]) -> list[tuple[Any, ...]]:
        hello: tuple[Any, ...] = ("HELLO", 3)
        if password := given.get("password"):
            hello += ("AUTH", given.get("username") or "default", password)
        commands = [hello]
        if database := given.get("db"):
            commands.append(("SELECT", database))
        commands += [("SCRIPT", "LOAD", script) for script in self._scripts]
        if self._tracked:
            prefixes = [part for prefix in self._tracked for part in ("PREFIX", prefix)]
            commands.append(("CLIENT", "TRACKING", "ON", "BCAST", *prefixes))
        return commands
