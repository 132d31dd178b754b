"""Ranked users from ClickHouse, what is shown of them from Postgres."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from api.discovery.ranked import Card, Place
from api.optional import OptionalReads
from api.settings import Settings
from api.stores import ClickHouse, Postgres
from api.surfaces.rows import instant, instant_of, rows_of, statements_in

FOLDER = Path(__file__).parent / "sql"
SQL = statements_in(FOLDER)
CARDS = statements_in(FOLDER / "postgres")["user_cards"]

CARDS_AT_ONCE = 4  # reads of cards of a process (count)
GROWING_USERS = 100  # of a chart, so that enough are left without those a viewer follows (count)


class DiscoveryQueries:
    """One method per file in `sql/`."""

    def __init__(self, clickhouse: ClickHouse, postgres: Postgres, settings: Settings) -> None:
        self._clickhouse = clickhouse
        self._postgres = postgres
        self._reads = OptionalReads[list[Card]](
            "discovery", CARDS_AT_ONCE, settings.postgres_timeout_ms / 1000
        )

    async def ranked(self, statement: str, viewer_id: int, as_of_ms: int) -> list[Place]:
        """Return a viewer's list, best first; raises `StoreUnavailableError`."""
        return await self._places(
            statement, {"viewer_id": viewer_id, "as_of": instant(instant_of(as_of_ms))}
        )

    async def growing(self, chart: str) -> list[Place]:
        """Return who grows, the fastest first; raises `StoreUnavailableError`."""
        return await self._places("growing", {"chart": chart, "limit": GROWING_USERS})

    async def cards(
        self, viewer_id: int, places: Sequence[Place], previews: int
    ) -> dict[int, Card]:
        """
        Return what is shown now of the users of a list, and of whom they were found by.

        Who is not there was deleted. Raises `StoreUnavailableError`.
        """
        related = {user_id for place in places for user_id in place.related_ids}

        async def read() -> list[Card]:
            rows = await self._postgres.rows(
                CARDS,
                {
                    "viewer_id": viewer_id,
                    "ids": [place.user_id for place in places],
                    "related_ids": sorted(related),
                    "previews": previews,
                },
            )
            return [
                Card(
                    user_id=row["user_id"],
                    username=row["username"],
                    follower_count=row["follower_count"],
                    videos=row["videos"],
                    is_followed=row["is_followed"],
                    is_blocked=row["is_blocked"],
                )
                for row in rows
            ]

        return {card.user_id: card for card in await self._reads.run(read)}

    async def close(self) -> None:
        """Let reads under way finish."""
        await self._reads.close()

    async def _places(self, statement: str, parameters: dict[str, object]) -> list[Place]:
        result = await self._clickhouse.query(SQL[statement], parameters)
        return [Place(**row) for row in rows_of(result)]
