"""The charts of sounds and hashtags: one of all videos, and one per category."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import msgspec

from api.charts.reader import Chart, Charts, ChartSource, Counted
from api.settings import Settings
from api.stores import ClickHouse, Postgres, Stores
from api.surfaces.rows import rows_of, statements_in
from api.trending.schemas import TrendingHashtag, TrendingSound

SQL = statements_in(Path(__file__).parent / "sql")
POSTGRES_SQL = statements_in(Path(__file__).parent / "sql" / "postgres")

ALL = ""  # the category that all videos are in
CHART_ITEMS = 100  # count
FRESH_SECONDS = 300.0  # of a chart in Redis: as long as from one count to the next
COUNTED_SECONDS = 900.0  # three times as long: older ones are stale
SAMPLES = 5  # videos of an item (count); more are kept, for deleted ones to leave no gap

_encode = msgspec.json.Encoder().encode


class UseChartSource(ChartSource):
    """Charts of what videos are made with; `item` is what is on them."""

    keys = (ALL,)
    whole = ALL
    fresh_seconds = FRESH_SECONDS
    counted_seconds = COUNTED_SECONDS
    item: ClassVar[type[TrendingSound | TrendingHashtag]]
    statement: ClassVar[str]
    categories: ClassVar[str]

    def __init__(self, clickhouse: ClickHouse, postgres: Postgres) -> None:
        self._clickhouse = clickhouse
        self._postgres = postgres
        self._decode = msgspec.json.Decoder(self.item).decode

    def item_of(self, row: Mapping[str, Any]) -> TrendingSound | TrendingHashtag:
        """Return a place on a chart, with all samples."""
        raise NotImplementedError

    async def chart(self, key: str) -> Counted:
        """Return the chart of a category, top first; that of all names the other categories."""
        result = await self._clickhouse.query(
            SQL[self.statement], {"category": key, "limit": CHART_ITEMS}
        )
        rows = list(rows_of(result))
        parts: Sequence[str] = ()
        if key == ALL and rows:
            found = await self._clickhouse.query(SQL[self.categories], {})
            parts = [row["category"] for row in rows_of(found)]
        return Counted(
            rows[0]["counted_at"] if rows else None,
            list({video: None for row in rows for video in row["samples"]}),
            [_encode(self.item_of(row)) for row in rows],
            parts,
        )

    async def deleted(self, ids: Sequence[int]) -> frozenset[int]:
        """Return the samples that are public no more."""
        rows = await self._postgres.rows(POSTGRES_SQL["hidden_videos"], {"video_ids": list(ids)})
        return frozenset(row["id"] for row in rows)

    def standing(self, chart: Chart, deleted: frozenset[int]) -> Chart:
        """Return a chart with the best samples that are left."""
        hidden = {str(video) for video in deleted}
        bodies = []
        for item in map(self._decode, chart.bodies):
            samples = [video for video in item.video_samples if video not in hidden]
            bodies.append(_encode(msgspec.structs.replace(item, video_samples=samples[:SAMPLES])))
        return msgspec.structs.replace(chart, bodies=bodies)


class SoundChartSource(UseChartSource):
    """Charts of the sounds whose use grew most."""

    name = "sounds"
    item = TrendingSound
    statement = "trending_sounds"
    categories = "sound_categories"

    def item_of(self, row: Mapping[str, Any]) -> TrendingSound:
        """Return a place on a chart."""
        return TrendingSound(
            id=str(row["sound_id"]),
            name=row["name"],
            usage_count=row["usage_count"],
            rank=row["rank"],
            growth=row["growth"],
            video_samples=[str(video) for video in row["samples"]],
        )


class HashtagChartSource(UseChartSource):
    """Charts of the hashtags whose use grew most."""

    name = "hashtags"
    item = TrendingHashtag
    statement = "trending_hashtags"
    categories = "hashtag_categories"

    def item_of(self, row: Mapping[str, Any]) -> TrendingHashtag:
        """Return a place on a chart."""
        return TrendingHashtag(
            hashtag=row["hashtag"],
            post_count=row["post_count"],
            rank=row["rank"],
            growth=row["growth"],
            video_samples=[str(video) for video in row["samples"]],
        )


class UseCharts(NamedTuple):
    """The charts of sounds, and those of hashtags."""

    sounds: Charts
    hashtags: Charts

    async def close(self) -> None:
        """Let reads under way finish; each is bounded by its timeout."""
        for charts in self:
            await charts.close()


def uses_charts(stores: Stores, settings: Settings) -> UseCharts:
    """Return the charts of what videos are made with."""
    sources = (
        SoundChartSource(stores.clickhouse, stores.postgres),
        HashtagChartSource(stores.clickhouse, stores.postgres),
    )
    return UseCharts(*(Charts(source, None, stores.redis, settings) for source in sources))
