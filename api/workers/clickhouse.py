"""ClickHouse as a worker in a loop asks it: a statement at a time, with time for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from clickhouse_connect.driver import AsyncClient, create_async_client

CONNECT_SECONDS = 5
STATEMENT_SECONDS = 30


class WorkerClickHouse:
    """Connects when it is first asked; raises `ClickHouseError` or `OSError`."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client: AsyncClient | None = None

    async def rows(self, sql: str, parameters: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        """Run one SELECT on one thread: nobody waits for it, and pages need the others."""
        client = await self._connected()
        answer = await client.query(sql, parameters=dict(parameters), settings={"max_threads": 1})
        return answer.result_rows

    async def lines(self, sql: str, parameters: Mapping[str, Any]) -> list[bytes]:
        """Run one SELECT as `rows` does; returns a JSON object per row."""
        client = await self._connected()
        answer: bytes = await client.raw_query(
            sql,
            parameters=dict(parameters),
            settings={"max_threads": 1, "output_format_json_quote_64bit_integers": 0},
            fmt="JSONEachRow",
        )
        return answer.splitlines()

    async def insert(
        self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]
    ) -> None:
        """Insert rows; they are there when this returns."""
        client = await self._connected()
        # Small inserts must not wait for the flush timer of asynchronous ones.
        await client.insert(table, rows, column_names=columns, settings={"async_insert": 0})

    async def close(self) -> None:
        """Hang up."""
        if self._client is not None:
            await self._client.close()

    async def _connected(self) -> AsyncClient:
        if self._client is None:
            self._client = await create_async_client(
                dsn=self._url,
                connect_timeout=CONNECT_SECONDS,
                send_receive_timeout=STATEMENT_SECONDS,
                autogenerate_session_id=False,
                tz_mode="aware",
                query_limit=0,
                query_retries=0,
            )
        return self._client


def aware(moment: datetime) -> datetime:
    """Return a moment of ClickHouse's with its time zone, which is UTC."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
