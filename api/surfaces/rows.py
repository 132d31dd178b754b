"""Ranked rows from ClickHouse; the order and the scores are the database's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from clickhouse_connect.driver.query import QueryResult

from api.cursor import Surface
from api.snapshots.ranking import Ranked, RankedItem
from api.snapshots.store import now_ms
from api.stores import Breaker, ClickHouse


def statements_in(folder: Path) -> dict[str, str]:
    """Return the statements of a folder, by the name of the file."""
    return {path.stem: path.read_text() for path in folder.glob("*.sql")}


def rows_of(result: QueryResult) -> Iterator[dict[str, Any]]:
    """Yield the rows of a result that came columns first."""
    names = result.column_names
    for values in zip(*result.result_set, strict=True):
        yield dict(zip(names, values, strict=True))


def instant(at: datetime) -> str:
    """Return a time the way a DateTime64(3, 'UTC') parameter takes it."""
    return at.strftime("%Y-%m-%d %H:%M:%S.") + f"{at.microsecond // 1000:03d}"


def instant_of(at_ms: int) -> datetime:
    """Return the time of a clock in milliseconds."""
    return datetime.fromtimestamp(at_ms / 1000, tz=UTC)


class RankedQueries:
    """
    Ranked rows of one kind of item, a method per statement.

    Subclasses bring the statements, `feed` and `feed_after` among them, and what an item is.
    """

    statements: Mapping[str, str]

    def __init__(self, clickhouse: ClickHouse) -> None:
        self._clickhouse = clickhouse

    @property
    def circuit(self) -> Breaker:
        """The circuit that every query goes through."""
        return self._clickhouse.breaker

    def item_of(self, row: Mapping[str, Any]) -> RankedItem:
        """Return the place of a row."""
        raise NotImplementedError

    async def feed(
        self, viewer_id: int, as_of: datetime, variant: str, shown: Sequence[int]
    ) -> list[RankedItem]:
        """Return the viewer's ranking without what was shown, best first."""
        ranked: dict[str, Any] = {
            "viewer_id": viewer_id,
            "as_of": instant(as_of),
            "variant": variant,
        }
        if not shown:
            return await self.items("feed", **ranked)
        return await self.items("feed_after", **ranked, shown=list(shown))

    async def items(self, statement: str, **parameters: Any) -> list[RankedItem]:
        """Return what a statement ranks; raises `StoreUnavailableError`."""
        result = await self._clickhouse.query(self.statements[statement], parameters)
        return [self.item_of(row) for row in rows_of(result)]


class PersonalRanking:
    """`algo=ch`: ranked for the viewer in ClickHouse."""

    def __init__(self, surface: Surface, queries: RankedQueries) -> None:
        self.surface = surface
        self.circuit = queries.circuit
        self._queries = queries

    async def ranked(
        self, viewer_id: int, as_of_ms: int | None, variant: str, shown: Sequence[int]
    ) -> Ranked:
        """Return the viewer's ranking without what was shown."""
        clock_ms = as_of_ms or now_ms()
        items = await self._queries.feed(viewer_id, instant_of(clock_ms), variant, shown)
        return Ranked(clock_ms, items)
