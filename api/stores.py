"""Redis, ClickHouse and Postgres as a process sees them: bounded, timed, allowed to be away."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import psycopg
import structlog
from circuitbreaker import STATE_HALF_OPEN, STATE_OPEN, CircuitBreaker
from clickhouse_connect.driver import AsyncClient, create_async_client
from clickhouse_connect.driver.query import QueryResult
from psycopg_pool import AsyncConnectionPool
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from api.metrics import STORE_FAILURES, STORE_SECONDS
from api.settings import Settings

log = structlog.get_logger(__name__)

T = TypeVar("T")

CLICKHOUSE_FAILURES_TO_OPEN = 5  # consecutive (count)
CLICKHOUSE_OPEN_SECONDS = 2.0
REDIS_FAILURES_TO_OPEN = 5  # consecutive (count)
REDIS_OPEN_SECONDS = 1.0
PING_SECONDS = 1.0  # a store that needs longer for nothing is down to whoever asks


class StoreUnavailableError(Exception):
    """A store failed, was too slow, or its circuit is open; `store` says which one."""

    def __init__(self, store: str) -> None:
        super().__init__(f"{store} is unavailable")
        self.store = store


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
            with self._circuit:
                async with asyncio.timeout(timeout_seconds):
                    return await work()
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
        self._timeout_seconds = settings.clickhouse_timeout_ms / 1000
        self._pool_max = settings.clickhouse_pool_max
        self._client: AsyncClient | None = None
        self._connecting = asyncio.Lock()
        self.breaker = Breaker("clickhouse", CLICKHOUSE_FAILURES_TO_OPEN, CLICKHOUSE_OPEN_SECONDS)

    async def query(self, sql: str, parameters: Mapping[str, Any]) -> QueryResult:
        """Run one SELECT, columns first; raises `StoreUnavailableError` for any failure."""
        return await self.breaker.run(lambda: self._query(sql, parameters), self._timeout_seconds)

    async def query_beside_breaker(self, sql: str) -> QueryResult:
        """Run a small query that neither opens nor closes the circuit."""
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await self._query(sql, {})
        except Exception as exc:
            raise StoreUnavailableError("clickhouse") from exc

    async def _query(self, sql: str, parameters: Mapping[str, Any]) -> QueryResult:
        client = await self._connected()
        return await client.query(
            sql,
            parameters=dict(parameters),
            settings={
                # The server gives up when we have: a query nobody waits for is only load.
                "max_execution_time": math.ceil(self._timeout_seconds),
                # Under concurrency one thread per query serves more queries.
                "max_threads": 1,
            },
            column_oriented=True,
        )

    async def _connected(self) -> AsyncClient:
        if self._client is None:
            async with self._connecting:
                if self._client is None:
                    self._client = await create_async_client(
                        dsn=self._url,
                        connect_timeout=self._timeout_seconds,
                        send_receive_timeout=self._timeout_seconds,
                        connector_limit=self._pool_max,
                        connector_limit_per_host=self._pool_max,
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


class Postgres:
    """The pool for writes; empty until first used, so that the API starts without Postgres."""

    def __init__(self, settings: Settings) -> None:
        self._timeout_seconds = settings.postgres_timeout_ms / 1000
        self.pool: AsyncConnectionPool[Any] = AsyncConnectionPool(
            settings.postgres_url,
            min_size=0,
            max_size=settings.postgres_pool_max,
            timeout=self._timeout_seconds,
            kwargs={
                "connect_timeout": max(2, math.ceil(self._timeout_seconds)),
                "options": f"-c statement_timeout={settings.postgres_timeout_ms}",
                "application_name": "nova-api",
            },
            open=False,
        )

    async def open(self) -> None:
        """Start the pool; connects to nothing yet."""
        await self.pool.open(wait=False)

    async def ping(self) -> bool:
        """Say whether Postgres answers."""
        try:
            async with asyncio.timeout(PING_SECONDS), self.pool.connection() as connection:
                await connection.execute("select 1")
        except (psycopg.Error, OSError, TimeoutError):
            return False
        return True

    async def close(self) -> None:
        """Close the connections."""
        with contextlib.suppress(psycopg.Error):
            await self.pool.close(timeout=self._timeout_seconds)


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
