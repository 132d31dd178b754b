"""Redis, ClickHouse and Postgres as a process sees them: bounded, timed, allowed to be away."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import re
import select
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeGuard, TypeVar, cast

import msgspec
import psycopg
import structlog
from circuitbreaker import STATE_CLOSED, STATE_HALF_OPEN, STATE_OPEN, CircuitBreaker
from clickhouse_connect.driver import AsyncClient, create_async_client
from clickhouse_connect.driver.exceptions import DatabaseError
from clickhouse_connect.driver.query import QueryResult
from msgspec import Struct
from psycopg import AsyncConnection, errors
from psycopg.rows import DictRow, dict_row
from psycopg.types.json import set_json_loads
from psycopg_pool import AsyncConnectionPool, TooManyRequests
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from api.metrics import STORE_CROWDED, STORE_FAILURES, STORE_SECONDS
from api.redisline import RedisLine
from api.settings import Settings
from api.views import ViewTexts

log = structlog.get_logger(__name__)

T = TypeVar("T")
E = TypeVar("E", bound=Exception)

# Runs one statement, with its parameters.
Query = Callable[[str, Mapping[str, Any]], Awaitable[T]]

# Consecutive (count). One more than rankings have places by default, so that one slow burst opens
# nothing; when all of them hang, it opens in their second round.
CLICKHOUSE_FAILURES_TO_OPEN = 3
CLICKHOUSE_OPEN_SECONDS = 2.0
# Connections for what never waits for a place: looking for a new release, health (count).
SMALL_QUERIES = 2
REDIS_FAILURES_TO_OPEN = 5  # consecutive (count)
REDIS_OPEN_SECONDS = 1.0
POSTGRES_FAILURES_TO_OPEN = 5  # consecutive (count)
POSTGRES_OPEN_SECONDS = 1.0
# How long one attempt to connect goes on. The pool's own five minutes come with waits of up to two
# and a half between tries, in which a server that is back would not be noticed.
POSTGRES_RECONNECT_SECONDS = 0.5
# The server ends a slow statement itself and the connection lives on; a line on which nothing
# comes even then is cut.
POSTGRES_CUT_SECONDS = 0.25
# Answers of a ClickHouse that is there but busy or going away: out of time, of places, of memory;
# restarting; read only.
ILL_CODES = frozenset({159, 160, 202, 209, 210, 236, 241, 242, 252, 394, 439, 999})
# What ClickHouse says of a table, a column or a function that is not there (codes of its errors).
GONE_BELOW_A_VIEW = frozenset({8, 10, 16, 36, 46, 47, 53, 60})
PING_SECONDS = 1.0  # a store that needs longer for nothing is down to whoever asks


class StoreUnavailableError(Exception):
    """A store failed, was too slow, or its circuit is open; `store` says which one."""

    def __init__(self, store: str) -> None:
        super().__init__(f"{store} is unavailable")
        self.store = store


class StatementError(StoreUnavailableError):
    """
    Postgres is well and cannot carry out a statement of ours: an assertion, a constraint, a cast.

    Who can do without the store's answer does without this one too; to anybody else it is a crash.
    """


class Refusal(Struct, frozen=True):
    """One thing Postgres refused: which field, why, and of which member of a batch."""

    field: str
    message: str
    index: int | None = None


class RefusedError(Exception):
    """Postgres refused what it was given; `code` is one of the NV*** of app.refuse_input."""

    def __init__(self, code: str, errors: Sequence[Refusal]) -> None:
        super().__init__(code)
        self.code = code
        self.errors = errors


class Breaker:
    """
    A circuit of this process: opens after consecutive failures, then lets one call probe.

    Everybody else is refused while the probe is under way. The library would let all through,
    and a store that comes back would meet the whole crowd at once.
    """

    def __init__(self, store: str, failures_to_open: int, open_seconds: float) -> None:
        self.store = store
        self._circuit = CircuitBreaker(
            failure_threshold=failures_to_open,
            recovery_timeout=open_seconds,
            expected_exception=Exception,
            name=store,
        )
        self._is_probing = False

    @property
    def is_closed(self) -> bool:
        """Say whether the store is believed to be well: the last calls did not all fail."""
        return bool(self._circuit.state == STATE_CLOSED)

    @property
    def is_refusing(self) -> bool:
        """Say whether a call would be refused right now."""
        state = self._circuit.state
        return state == STATE_OPEN or (state == STATE_HALF_OPEN and self._is_probing)

    async def run(self, work: Callable[[], Awaitable[T]], timeout_seconds: float) -> T:
        """Await `work` within the time; raises `StoreUnavailableError` for every failure."""
        if self.is_refusing:
            raise StoreUnavailableError(self.store)
        is_probe = self._circuit.state == STATE_HALF_OPEN
        self._is_probing = self._is_probing or is_probe
        started = time.perf_counter()
        try:
            try:
                async with asyncio.timeout(timeout_seconds):
                    result = await work()
            except Exception:
                # Told to the circuit by hand: of a call that was abandoned it learns nothing. The
                # library would count every other end as a success.
                with self._circuit:
                    raise
            with self._circuit:
                return result
        except Exception as exc:
            STORE_FAILURES.labels(self.store).inc()
            log.warning("store_failed", store=self.store, error=type(exc).__name__)
            raise StoreUnavailableError(self.store) from exc
        finally:
            STORE_SECONDS.labels(self.store).observe(time.perf_counter() - started)
            if is_probe:
                self._is_probing = False


class RedisStore:
    """One bounded pool; a call takes at most `redis_timeout_ms`, waiting for a place included."""

    def __init__(self, settings: Settings) -> None:
        self._timeout_seconds = settings.redis_timeout_ms / 1000
        pool = BlockingConnectionPool.from_url(
            settings.redis_url,
            max_connections=settings.redis_pool_max,
            timeout=self._timeout_seconds,
            socket_timeout=self._timeout_seconds,
            socket_connect_timeout=self._timeout_seconds,
            # Once, at once: a pooled connection may have died with the last Redis.
            retry=Retry(NoBackoff(), 1),
        )
        self.client: Redis = Redis(connection_pool=pool)
        self.line = RedisLine(pool, self._timeout_seconds)
        self.breaker = Breaker("redis", REDIS_FAILURES_TO_OPEN, REDIS_OPEN_SECONDS)

    async def run(self, work: Callable[[], Awaitable[T]]) -> T:
        """Await commands; raises `StoreUnavailableError`, which callers must survive."""
        return await self.breaker.run(work, self._timeout_seconds)

    async def ping(self) -> bool:
        """Say whether Redis answers, the circuit aside."""
        try:
            async with asyncio.timeout(PING_SECONDS):
                return bool(await self.client.ping())
        except (RedisError, OSError, TimeoutError):
            return False

    async def close(self) -> None:
        """Close the connections."""
        await self.line.stop()
        await self.client.aclose()
        await self.client.connection_pool.disconnect()


class ClickHouse:
    """
    Ranked rows, by SQL with bound parameters.

    The client asks the server for its settings when it is made, so it is made on first use: the
    API starts, and serves what Redis holds, while ClickHouse is away.
    """

    def __init__(self, settings: Settings) -> None:
        self._url = settings.clickhouse_url
        self.timeout_seconds = settings.clickhouse_timeout_ms / 1000
        self.places_max = settings.clickhouse_pool_max
        self._places = asyncio.Semaphore(settings.clickhouse_pool_max)
        # Whoever gets a place has at least half of the time left to use it.
        self.wait_seconds = min(settings.clickhouse_wait_ms / 1000, self.timeout_seconds / 2)
        self._settings: dict[str, Any] = {
            # The server gives up when we have: a query nobody waits for is only load.
            "max_execution_time": math.ceil(self.timeout_seconds),
            # Under concurrency one thread per query serves more queries.
            "max_threads": 1,
        }
        self._client: AsyncClient | None = None
        self._connecting = asyncio.Lock()
        self.views = ViewTexts()
        self.breaker = Breaker(
            "clickhouse",
            min(CLICKHOUSE_FAILURES_TO_OPEN, settings.clickhouse_pool_max),
            CLICKHOUSE_OPEN_SECONDS,
        )

    async def query(self, sql: str, parameters: Mapping[str, Any]) -> QueryResult:
        """
        Run one SELECT, columns first; raises `StoreUnavailableError` for any failure.

        At most `clickhouse_pool_max` run at once. Whoever waits for a place in vain is told the
        same, but not the circuit: a crowd does not mean that ClickHouse is ill, and without the
        limit all of it would be too late together. The wait is part of the query's time.
        """
        if self.breaker.is_refusing:
            raise StoreUnavailableError(self.breaker.store)
        began_at = time.monotonic()
        async with contextlib.AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(self.wait_seconds):
                    await stack.enter_async_context(self.place())
            except TimeoutError as exc:
                STORE_CROWDED.labels(self.breaker.store).inc()
                raise StoreUnavailableError(self.breaker.store) from exc
            waited = time.monotonic() - began_at
            return await self.query_in_place(sql, parameters, self.timeout_seconds - waited)

    @contextlib.asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Hold one of the places for statements, waiting for it for as long as it takes."""
        async with self._places:
            yield

    async def query_in_place(
        self, sql: str, parameters: Mapping[str, Any], timeout_seconds: float
    ) -> QueryResult:
        """
        Run one SELECT as `query` does, in a place the caller holds.

        Serving views that it calls are written out (`api/views.py`).
        """
        return await self._read(self._query, sql, parameters, timeout_seconds)

    async def lines_in_place(
        self, sql: str, parameters: Mapping[str, Any], timeout_seconds: float
    ) -> bytes:
        """Run one SELECT as `query_in_place` does; returns a JSON array per row, in lines."""
        return await self._read(self._query_lines, sql, parameters, timeout_seconds)

    async def _read(
        self, query: Query[T], sql: str, parameters: Mapping[str, Any], timeout_seconds: float
    ) -> T:
        answer = await self.breaker.run(
            lambda: self._answer(query, sql, parameters), timeout_seconds
        )
        if isinstance(answer, DatabaseError):
            STORE_FAILURES.labels(self.breaker.store).inc()
            log.error(
                "statement_failed",
                store=self.breaker.store,
                reason=str(answer).partition("\n")[0][:300],
            )
            raise StoreUnavailableError(self.breaker.store) from answer
        return answer

    async def query_beside_breaker(self, sql: str) -> QueryResult:
        """Run a small query that neither opens nor closes the circuit."""
        try:
            async with asyncio.timeout(self.timeout_seconds):
                return await self._query(sql, {})
        except Exception as exc:
            raise StoreUnavailableError("clickhouse") from exc

    async def _answer(
        self, query: Query[T], sql: str, parameters: Mapping[str, Any]
    ) -> T | DatabaseError:
        """
        Return rows, or what ClickHouse has against the statement.

        Whoever refuses a statement is there and well: one model that is broken must not take the
        others' circuit with it.
        """
        try:
            return await self._query_written_out(query, sql, parameters)
        except DatabaseError as exc:
            if exc.code is None or exc.code in ILL_CODES:
                raise
            return exc

    async def _query_written_out(
        self, query: Query[T], sql: str, parameters: Mapping[str, Any]
    ) -> T:
        written_out = self.views.written_out(sql)
        try:
            return await query(written_out, parameters)
        except DatabaseError as exc:
            if written_out == sql or exc.code not in GONE_BELOW_A_VIEW:
                raise
        # A build has replaced what the view reads, and the view, since its text was read.
        self.views.forget()
        return await query(sql, parameters)

    async def _query(self, sql: str, parameters: Mapping[str, Any]) -> QueryResult:
        client = await self._connected()
        return await client.query(
            sql,
            parameters=dict(parameters),
            settings=self._settings,
            column_oriented=True,
        )

    async def _query_lines(self, sql: str, parameters: Mapping[str, Any]) -> bytes:
        client = await self._connected()
        return await client.raw_query(
            sql,
            parameters=dict(parameters),
            settings=self._settings | {"output_format_json_quote_64bit_integers": 0},
            fmt="JSONCompactEachRow",
        )

    async def _connected(self) -> AsyncClient:
        if self._client is None:
            async with self._connecting:
                if self._client is None:
                    self._client = await create_async_client(
                        dsn=self._url,
                        connect_timeout=self.timeout_seconds,
                        send_receive_timeout=self.timeout_seconds,
                        connector_limit=self.places_max + SMALL_QUERIES,
                        connector_limit_per_host=self.places_max + SMALL_QUERIES,
                        autogenerate_session_id=False,
                        tz_mode="aware",
                        query_limit=0,
                    )
        return self._client

    async def ping(self) -> bool:
        """Say whether ClickHouse answers a query, the circuit aside."""
        try:
            async with asyncio.timeout(PING_SECONDS):
                await self.query_beside_breaker("select 1")
        except (StoreUnavailableError, TimeoutError):
            return False
        return True

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()


class RefusalDetail(Struct):
    """The detail of an NV***."""

    errors: list[Refusal]


BAD_INPUT = "NV400"
REFUSAL_CODES = frozenset({BAD_INPUT, "NV403", "NV404", "NV410", "NV422", "NV429"})

# What Postgres says of JSON and texts it cannot hold: NUL, half a surrogate pair, lists in lists in
# lists.
UNSTORABLE = (
    errors.UntranslatableCharacter,
    errors.CharacterNotInRepertoire,
    errors.StatementTooComplex,
    UnicodeEncodeError,
)
# The same of what is no JSON and of numbers of thousands of digits, when it reads a parameter. Said
# inside a function, it is of a cast the function should not have come to.
UNREADABLE = (errors.InvalidTextRepresentation, errors.NumericValueOutOfRange)
FUNCTION_OF_OURS = re.compile(r'PL/pgSQL function app\.|SQL function "')

# Classes of states that say nothing about Postgres' health: cardinality, data, constraints, what
# PL/pgSQL raises (assertions), and refusals that are none of ours.
STATEMENT_FAULTS = frozenset({"21", "22", "23", "P0", "NV"})


class Postgres:
    """
    One statement per call, each a transaction of its own.

    Bounded in connections, in callers that wait for one, and in time. Empty until first used, so
    that the API starts without Postgres.
    """

    def __init__(self, settings: Settings) -> None:
        self._timeout_seconds = settings.postgres_timeout_ms / 1000
        self._connections_max = settings.postgres_pool_max
        self._pool = AsyncConnectionPool[AsyncConnection[DictRow]](
            settings.postgres_url,
            min_size=0,
            max_size=settings.postgres_pool_max,
            max_waiting=settings.postgres_waiting_max,
            timeout=self._timeout_seconds,
            reconnect_timeout=POSTGRES_RECONNECT_SECONDS,
            kwargs={
                "autocommit": True,
                "row_factory": dict_row,
                "connect_timeout": max(2, math.ceil(self._timeout_seconds)),
                "options": f"-c statement_timeout={settings.postgres_timeout_ms} -c timezone=UTC",
                "application_name": "nova-api",
            },
            configure=read_json_fast,
            open=False,
        )
        self.breaker = Breaker("postgres", POSTGRES_FAILURES_TO_OPEN, POSTGRES_OPEN_SECONDS)

    async def open(self) -> None:
        """Start the pool; connects to nothing yet."""
        await self._pool.open(wait=False)

    async def rows(self, query: str, parameters: Mapping[str, Any]) -> list[DictRow]:
        """
        Run one statement and commit it; returns its rows, with jsonb as Python objects.

        Raises `RefusedError` when the input is refused, `StatementError` when the statement is
        wrong, and `StoreUnavailableError` for everything else. After the last the statement may
        have been carried out all the same: the answer was lost, not the work.
        """

        async def work() -> list[DictRow] | RefusedError | StoreUnavailableError:
            # None of these tells anything about Postgres' health: the circuit must not hear of it.
            try:
                return await self._run(query, parameters, self._timeout_seconds)
            except TooManyRequests as exc:
                return caused(StoreUnavailableError("postgres"), exc)
            except Exception as exc:
                if refused := refusal_of(exc):
                    if not is_ours(exc):
                        log.warning(
                            "unstorable_input", statement=name_of(query), error=type(exc).__name__
                        )
                    return caused(refused, exc)
                if not is_statement_fault(exc):
                    raise
                log.error("statement_failed", statement=name_of(query), exc_info=exc)
                return caused(StatementError("postgres"), exc)

        # The limit inside is the one that counts; this one is for what nobody thought of.
        outcome = await self.breaker.run(work, self._timeout_seconds + 1)
        if isinstance(outcome, StoreUnavailableError):
            STORE_FAILURES.labels("postgres").inc()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def ping(self) -> bool:
        """Say whether Postgres answers, the circuit aside."""
        try:
            await self._run("select 1", {}, PING_SECONDS)
        except (psycopg.Error, OSError):
            return False
        return True

    async def close(self) -> None:
        """Close the connections."""
        with contextlib.suppress(psycopg.Error):
            await self._pool.close(timeout=self._timeout_seconds)

    async def _run(
        self, query: str, parameters: Mapping[str, Any], timeout_seconds: float
    ) -> list[DictRow]:
        deadline = time.monotonic() + timeout_seconds
        # A restart of Postgres ends every idle connection; none of them is the caller's problem.
        for _ in range(self._connections_max + 1):
            async with self._pool.connection(deadline - time.monotonic()) as connection:
                if has_ended(connection):
                    await connection.close()
                    continue
                # Not by cancelling: psycopg would ask a server that does not answer to cancel, and
                # wait for that.
                cut = asyncio.get_running_loop().call_later(
                    deadline + POSTGRES_CUT_SECONDS - time.monotonic(), hang_up, connection
                )
                try:
                    cursor = await connection.execute(cast("Any", query), parameters)
                    return await cursor.fetchall() if cursor.description else []
                finally:
                    cut.cancel()
        raise psycopg.OperationalError("every connection of the pool has ended")


async def read_json_fast(connection: AsyncConnection[Any]) -> None:
    """Have a new connection read jsonb with msgspec."""
    set_json_loads(msgspec.json.decode, connection)


def has_ended(connection: AsyncConnection[Any]) -> bool:
    """Say whether an idle connection has something to read: the server says nothing but goodbye."""
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def hang_up(connection: AsyncConnection[Any]) -> None:
    """Cut a connection, so that whoever waits for its answer learns at once that none will come."""
    with (
        contextlib.suppress(OSError, psycopg.Error),
        socket.socket(fileno=os.dup(connection.fileno())) as line,
    ):
        line.shutdown(socket.SHUT_RDWR)


def refusal_of(exc: Exception) -> RefusedError | None:
    """Return what the input was refused for; None when the failure is not the input's."""
    if is_ours(exc):
        detail = exc.diag.message_detail or ""
        return RefusedError(
            str(exc.sqlstate), msgspec.json.decode(detail, type=RefusalDetail).errors
        )
    # Without a state it is psycopg's own, before anything was sent: a text with NUL.
    is_unsendable = isinstance(exc, psycopg.DataError) and exc.sqlstate is None
    is_unreadable = isinstance(exc, UNREADABLE) and not is_in_function(exc)
    if is_unsendable or is_unreadable or isinstance(exc, UNSTORABLE):
        message = "holds a character or a number that cannot be stored"
        return RefusedError(BAD_INPUT, [Refusal("body", message)])
    return None


def is_ours(exc: Exception) -> TypeGuard[psycopg.Error]:
    """Say whether a function of ours refuses something on purpose."""
    return isinstance(exc, psycopg.Error) and exc.sqlstate in REFUSAL_CODES


def is_in_function(exc: psycopg.Error) -> bool:
    """Say whether an error came up inside a function of ours."""
    return FUNCTION_OF_OURS.search(exc.diag.context or "") is not None


def is_statement_fault(exc: Exception) -> bool:
    """Say whether Postgres answered that a statement is wrong."""
    return isinstance(exc, psycopg.Error) and (exc.sqlstate or "")[:2] in STATEMENT_FAULTS


def name_of(query: str) -> str:
    """Return what a statement calls, or reads, first of ours."""
    found = re.search(r"\bapp\.\w+", query)
    return found[0] if found else query[:40]


def caused(exc: E, cause: Exception) -> E:
    """Return an exception that says what it came from, to be raised elsewhere."""
    exc.__cause__ = cause
    return exc


class Stores:
    """The three stores of one process."""

    def __init__(self, settings: Settings) -> None:
        self.redis = RedisStore(settings)
        self.clickhouse = ClickHouse(settings)
        self.postgres = Postgres(settings)

    async def ping(self) -> dict[str, bool]:
        """Say of each store whether it answers."""
        names = ("postgres", "clickhouse", "redis")
        stores = (self.postgres, self.clickhouse, self.redis)
        answers = await asyncio.gather(*(store.ping() for store in stores))
        return dict(zip(names, answers, strict=True))

    async def close(self) -> None:
        """Close everything, whatever fails."""
        await asyncio.gather(
            self.redis.close(),
            self.clickhouse.close(),
            self.postgres.close(),
            return_exceptions=True,
        )
