"""What answers a query: from ClickHouse, or from Postgres while that is away."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from msgspec import Struct, structs

from api.auth import LARGEST_USER_ID as LARGEST_ID
from api.cursor import SearchPlace
from api.optional import OptionalReads
from api.search.schemas import Criteria
from api.settings import Settings
from api.stores import ClickHouse, Postgres
from api.surfaces.rows import instant, instant_of, rows_of, statements_in

FOLDER = Path(__file__).parent / "sql"
SQL = statements_in(FOLDER)
SEARCH_VIDEOS = statements_in(FOLDER / "postgres")["search_videos"]

SEARCHES_AT_ONCE = 2  # of Postgres, of a process; a search is a hundred times a write (count)

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(2262, 1, 1, tzinfo=UTC)
LARGEST_PPM = 2**63 - 1


class Found(Struct, frozen=True):
    """A video that answers, and its place in the order."""

    video_id: int
    creator_id: int
    published_at: datetime
    relevance_ppm: int


class Terms(Struct, frozen=True):
    """What a query asks for: the columns of `sql/terms.sql`."""

    asked_tokens: list[str]
    corrected_tokens: list[str]
    scarce_tokens: list[str]
    are_known: bool
    token_hashes: list[int]
    token_weights: list[float]
    mean_tokens: list[float]


class SearchQueries:
    """One method per statement."""

    def __init__(self, clickhouse: ClickHouse, postgres: Postgres, settings: Settings) -> None:
        self._clickhouse = clickhouse
        self._postgres = postgres
        self._reads = OptionalReads[list[Found]](
            "search", SEARCHES_AT_ONCE, settings.postgres_timeout_ms / 1000
        )

    async def terms(self, query: str, correction: str, *, is_relaxed: bool) -> Terms:
        """Return what a query asks for; raises `StoreUnavailableError`."""
        result = await self._clickhouse.query(
            SQL["terms"],
            {"search_query": query, "correction": correction, "is_relaxed": is_relaxed},
        )
        return Terms(**next(rows_of(result)))

    async def correction(self, query: str) -> str:
        """Return the query with unknown words corrected; raises `StoreUnavailableError`."""
        result = await self._clickhouse.query(SQL["corrections"], {"search_query": query})
        return str(next(rows_of(result))["corrected_query"])

    async def reels(
        self,
        terms: Terms,
        criteria: Criteria,
        viewer_id: int,
        as_of_ms: int,
        place: SearchPlace | None,
        places: int,
    ) -> list[Found]:
        """Return what answers behind a place; raises `StoreUnavailableError`."""
        below = behind(place)
        begin, end = window(criteria, as_of_ms)
        result = await self._clickhouse.query(
            SQL["reels"],
            {
                **parameters_of(terms),
                "viewer_id": viewer_id,
                "creator_ids": [] if criteria.creator_id is None else [criteria.creator_id],
                "categories": [] if criteria.category is None else [criteria.category],
                "published_from": instant(begin),
                "published_until": instant(end),
                **below,
                "below_at": instant(below["below_at"]),
                "places": places,
            },
        )
        return [Found(**row) for row in rows_of(result)]

    async def in_postgres(
        self,
        criteria: Criteria,
        viewer_id: int,
        as_of_ms: int,
        place: SearchPlace | None,
        places: int,
    ) -> list[Found]:
        """Return what Postgres finds behind a place; raises `StoreUnavailableError`."""
        begin, end = window(criteria, as_of_ms)
        parameters = {
            "search_query": criteria.query,
            "viewer_id": viewer_id,
            "creator_id": criteria.creator_id,
            "category": criteria.category,
            "published_from": begin,
            "published_until": end,
            **behind(place),
            "places": places,
        }

        async def read() -> list[Found]:
            return [Found(**row) for row in await self._postgres.rows(SEARCH_VIDEOS, parameters)]

        return await self._reads.run(read)

    async def close(self) -> None:
        """Let reads under way finish."""
        await self._reads.close()


def parameters_of(terms: Terms) -> dict[str, Any]:
    """Return terms as search__reels is asked with them."""
    return {name: value for name, value in structs.asdict(terms).items() if name != "are_known"}


def window(criteria: Criteria, as_of_ms: int) -> tuple[datetime, datetime]:
    """Return from when to when videos may have been published; both belong to it."""
    as_of = instant_of(as_of_ms)
    begin = max(criteria.published_from or EARLIEST, EARLIEST)
    # Before the first of all nothing was published, and ClickHouse has no such times.
    end = max(min(criteria.published_to or as_of, as_of), EARLIEST)
    return min(begin, LATEST), end


def behind(place: SearchPlace | None) -> dict[str, Any]:
    """Return the key that a page is below; without a place that of nothing."""
    if place is None:
        return {"below_ppm": LARGEST_PPM, "below_at": LATEST, "below_id": LARGEST_ID}
    return {
        "below_ppm": place.relevance_ppm,
        "below_at": instant_of(place.published_at_ms),
        "below_id": place.video_id,
    }
