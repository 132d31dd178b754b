"""The charts of sounds and hashtags: what is on them, and what is left when a store is away."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec
import psycopg
import pytest

from api.settings import Settings
from api.stores import Stores
from api.trending.charts import FRESH_SECONDS, SAMPLES, UseCharts, uses_charts
from api.trending.schemas import TrendingHashtagsPage, TrendingSoundsPage
from tests.api.charts import age_charts
from tests.api.conftest import Api, Catalogue, Token, new_id, serving
from tests.api.proxy import Proxy

SOUNDS, HASHTAGS = "/api/v1/reels/trending-sounds", "/api/v1/reels/trending-hashtags"
KINDS = {"sounds": (SOUNDS, TrendingSoundsPage), "hashtags": (HASHTAGS, TrendingHashtagsPage)}
COUNTED = ("trending_sounds_hourly", "trending_hashtags_hourly")


def count_anew(catalogue: Catalogue) -> None:
    """Have ClickHouse count these charts now, and not at its next turn."""
    for view in ("video_signals", *COUNTED):
        for _ in range(2):  # one may be under way that began before our rows were there
            catalogue.client.command(f"system refresh view nova.{view}_mv")
            catalogue.client.command(f"system wait view nova.{view}_mv")
    catalogue.client.command("system reload dictionary nova.dict_video_signals")


class Uses(NamedTuple):
    """A category of a test's own: two sounds, each with a hashtag, and the videos of today."""

    category: str
    growing: int
    steady: int
    growing_videos: list[int]
    steady_videos: list[int]

    @property
    def growing_hashtag(self) -> str:
        return f"Grows{self.growing}"

    @property
    def steady_hashtag(self) -> str:
        return f"Stays{self.steady}"


@pytest.fixture
def uses(catalogue: Catalogue) -> Uses:
    """One sound is used eight times a day, the other seven times today and never before."""
    steady, growing = new_id(), new_id()
    made = Uses(f"topic {new_id()}", growing, steady, [], [])
    catalogue.insert(
        "sounds",
        ["sound_id", "name", "is_original", "created_at"],
        [[sound, f"Sound {sound}", False, datetime.now(UTC)] for sound in (steady, growing)],
    )

    def publish(count: int, sound: int, hashtag: str, days: int) -> list[int]:
        return catalogue.videos(
            count,
            creators=count,
            age=timedelta(days=days, hours=1),
            sound_id=sound,
            category=made.category,
            hashtags=[hashtag, hashtag.upper()],
        )

    made.growing_videos.extend(publish(7, growing, made.growing_hashtag, 0))
    for days in range(9):
        videos = publish(8, steady, made.steady_hashtag, days)
        if not days:
            made.steady_videos.extend(videos)
    # The third is liked most, then the fifth; of the others the larger id is the better one.
    liked = [[made.growing_videos[2], 0, 0, 50, 0, 0], [made.growing_videos[4], 9, 3.5, 9, 1, 2]]
    columns = ["video_id", "views", "completions", "likes", "shares", "comments"]
    catalogue.insert("video_engagement", columns, liked)
    count_anew(catalogue)
    return made


async def chart(api: Api, headers: dict[str, str], kind: str, **asked: Any) -> dict[str, Any]:
    path, page = KINDS[kind]
    response = await api.get(path, headers=headers, params=asked)
    assert response.status_code == 200, response.text
    msgspec.json.decode(response.content, type=page)  # what the document says
    body: dict[str, Any] = response.json()
    return body


def best(videos: list[int], *first: int) -> list[str]:
    """The samples of a test's videos: those that come first, and then by id."""
    ranked = [*first, *sorted(set(videos) - set(first), reverse=True)]
    return [str(video) for video in ranked[:SAMPLES]]


async def test_what_grows_is_above_what_is_used_more(api: Api, bearer: Token, uses: Uses) -> None:
    """Three are expected of anything: 4 / √3. Of the other 8 a day, and 8 came."""
    growing, steady = uses.growing_videos, uses.steady_videos
    samples = [best(growing, growing[2], growing[4]), best(steady)]
    body = await chart(api, bearer(1), "sounds", category=uses.category)
    assert body["data"] == [
        {
            "id": str(sound),
            "name": f"Sound {sound}",
            "usage_count": count,
            "rank": rank,
            "growth": growth,
            "video_samples": shown,
        }
        for sound, count, rank, growth, shown in (
            (uses.growing, 7, 1, 2.309401, samples[0]),
            (uses.steady, 8, 2, 0, samples[1]),
        )
    ]
    assert (body["has_more"], body["next_cursor"]) == (False, None)
    meta = body["meta"]
    assert (meta["category"], meta["degraded"], meta["fallback"]) == (uses.category, "none", False)
    assert meta["total_count"] == 2
    assert datetime.now(UTC) - datetime.fromisoformat(meta["as_of"]) < timedelta(minutes=5)

    body = await chart(api, bearer(1), "hashtags", category=uses.category)
    assert body["data"] == [
        {
            "hashtag": hashtag,
            "post_count": count,
            "rank": rank,
            "growth": growth,
            "video_samples": shown,
        }
        for hashtag, count, rank, growth, shown in (
            (uses.growing_hashtag, 7, 1, 2.309401, samples[0]),
            (uses.steady_hashtag, 8, 2, 0, samples[1]),
        )
    ]


@pytest.mark.parametrize("kind", KINDS)
async def test_all_videos_have_a_chart_and_a_limit_takes_its_top(
    api: Api, bearer: Token, uses: Uses, kind: str
) -> None:
    body = await chart(api, bearer(1), kind)
    named = {item.get("id", item.get("hashtag")) for item in body["data"]}
    assert {str(uses.growing), uses.growing_hashtag} & named
    assert body["meta"]["category"] == ""
    assert [item["rank"] for item in body["data"]] == list(range(1, len(body["data"]) + 1))
    growths = [item["growth"] for item in body["data"]]
    assert growths == sorted(growths, reverse=True)

    top = await chart(api, bearer(1), kind, category=uses.category, limit=1)
    assert [item["rank"] for item in top["data"]] == [1]
    assert top["meta"]["total_count"] == 2


@pytest.mark.parametrize("path", [SOUNDS, HASHTAGS])
@pytest.mark.parametrize(
    ("field", "value"), [("limit", "0"), ("limit", "101"), ("category", "x" * 101)]
)
async def test_bad_parameters_are_named(
    api: Api, bearer: Token, path: str, field: str, value: str
) -> None:
    refused = await api.get(path, headers=bearer(1), params={field: value})
    assert refused.status_code == 400
    assert [error["field"] for error in refused.json()["errors"]] == [field]


@pytest.mark.parametrize("kind", KINDS)
async def test_charts_outlive_clickhouse(
    settings: Settings, bearer: Token, uses: Uses, clickhouse_proxy: Proxy, kind: str
) -> None:
    """Fresh from Redis for five minutes, then told to be stale for a day, then refused."""
    lines = msgspec.structs.replace(settings, clickhouse_url=clickhouse_proxy.url)
    asked = ({"category": uses.category}, {}, {"category": "what nobody knows"})
    async with serving(lines) as api:
        good = [await chart(api, bearer(1), kind, **one) for one in asked]
        assert not good[0]["meta"]["cache_hit"]
        again = await chart(api, bearer(1), kind, **asked[0])
    assert again["meta"]["cache_hit"]
    assert good[0]["data"] and good[1]["data"]
    assert (good[2]["data"], good[2]["meta"]["total_count"]) == ([], 0)

    clickhouse_proxy.cut()
    for seconds, degraded in ((0, "none"), (FRESH_SECONDS, "stale")):
        age_charts(settings, kind, seconds)
        async with serving(lines) as api:
            kept = [await chart(api, bearer(1), kind, **one) for one in asked]
        assert [one["data"] for one in kept] == [one["data"] for one in good]
        assert {one["meta"]["degraded"] for one in kept} == {degraded}
        assert {one["meta"]["fallback"] for one in kept} == {degraded == "stale"}
    age_charts(settings, kind, settings.stale_ttl_seconds)
    async with serving(lines) as api:
        refused = await api.get(KINDS[kind][0], headers=bearer(1))
    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) > 0


async def test_without_redis_charts_come_from_clickhouse(
    settings: Settings, bearer: Token, uses: Uses, redis_proxy: Proxy
) -> None:
    redis_proxy.cut()
    async with serving(msgspec.structs.replace(settings, redis_url=redis_proxy.url)) as api:
        body = await chart(api, bearer(1), "sounds", category=uses.category)
    assert [item["id"] for item in body["data"]] == [str(uses.growing), str(uses.steady)]
    assert body["meta"]["degraded"] == "none"


async def test_a_deleted_video_is_no_sample(
    settings: Settings, catalogue: Catalogue, bearer: Token, uses: Uses, clickhouse_proxy: Proxy
) -> None:
    """When Postgres says so; when it has landed, before the next count; and then it is no use."""
    lines = msgspec.structs.replace(settings, clickhouse_url=clickhouse_proxy.url)
    gone, left = uses.growing_videos[2], uses.growing_videos[4]

    async def shown(settings: Settings) -> dict[str, Any]:
        async with serving(settings) as api:
            body = await chart(api, bearer(1), "sounds", category=uses.category)
        item: dict[str, Any] = body["data"][0]
        return item

    assert (await shown(lines))["video_samples"] == best(uses.growing_videos, gone, left)
    clickhouse_proxy.cut()
    remaining = [video for video in uses.growing_videos if video != gone]
    with psycopg.connect(settings.postgres_url, autocommit=True) as postgres:
        postgres.execute("update app.videos set deleted = true where id = %s", [gone])
        assert (await shown(lines))["video_samples"] == best(remaining, left)
        postgres.execute("update app.videos set deleted = false where id = %s", [gone])

    catalogue.insert(
        "videos",
        ["video_id", "status", "published_at"],
        [[gone, "deleted", datetime.now(UTC)]],
        is_deleted=True,
    )
    catalogue.client.command("system refresh view nova.video_signals_mv")
    catalogue.client.command("system wait view nova.video_signals_mv")
    catalogue.client.command("system reload dictionary nova.dict_video_signals")
    age_charts(settings, "sounds", FRESH_SECONDS)
    item = await shown(settings)
    assert item["video_samples"] == best(remaining, left)
    assert item["usage_count"] == 7, "as it was counted"

    count_anew(catalogue)
    age_charts(settings, "sounds", FRESH_SECONDS)
    item = await shown(settings)
    assert (item["usage_count"], item["video_samples"]) == (6, best(remaining, left))


@pytest.fixture
async def process(
    settings: Settings, catalogue: Catalogue, clickhouse_proxy: Proxy
) -> AsyncIterator[Callable[[], UseCharts]]:
    """The charts of processes that know nothing yet."""
    lines = msgspec.structs.replace(settings, clickhouse_url=clickhouse_proxy.url)
    made: list[Stores] = []

    def process() -> UseCharts:
        made.append(stores := Stores(lines))
        return uses_charts(stores, lines)

    yield process
    for stores in made:
        await stores.close()


async def test_charts_of_categories_are_read_ahead_once_per_count(
    process: Callable[[], UseCharts], catalogue: Catalogue, uses: Uses, clickhouse_proxy: Proxy
) -> None:
    """That of all is read every time; the others have not changed when it was not counted anew."""

    async def asked(charts: UseCharts) -> int:
        before = clickhouse_proxy.requests
        assert await charts.sounds.refresh_all() == 0
        return clickhouse_proxy.requests - before

    catalogue.client.command("system stop view nova.trending_sounds_hourly_mv")
    try:
        [categories] = catalogue.client.query(
            "select uniqExact(category) - 1 from nova.trending_sounds_hourly"
        ).first_row
        worker = process()
        assert await asked(worker) >= 2 + categories > 2
        assert await asked(worker) == 2
    finally:
        catalogue.client.command("system start view nova.trending_sounds_hourly_mv")
    count_anew(catalogue)
    assert await asked(worker) >= 2 + categories

    clickhouse_proxy.cut()
    page = await process().sounds.top(uses.category, 10)
    assert (len(page.bodies), page.degraded) == (2, "none"), "another process finds them in Redis"
    assert await worker.sounds.refresh_all() == 1, "what it cannot read it counts"


async def test_a_count_reads_the_videos_of_its_days_and_not_the_catalogue(
    catalogue: Catalogue, uses: Uses
) -> None:
    first = new_id() + 10**7

    def rows_read() -> int:
        read = catalogue.client.query("select video_id from nova.stg_raw__recent_videos")
        assert {row[0] for row in read.result_rows} >= {*uses.growing_videos, *uses.steady_videos}
        return int(read.summary["read_rows"])

    rows_read()
    before = rows_read()
    catalogue.client.command(
        "insert into raw.videos (video_id, status, published_at, deleted, _txid, _version) "
        f"select {first} + number, 'published', now() - interval 100 day, false, 1, 1 "
        "from numbers(100000)"
    )
    try:
        assert rows_read() < before + 2_000
    finally:
        catalogue.client.command(f"delete from raw.videos where video_id >= {first}")
