"""
The real data sets, imported, landed in ClickHouse, and compared with an independent recount.

The files are not part of the project. Without them these tests skip; in CI a skip is a failure.
"""

from __future__ import annotations

import json
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple

import clickhouse_connect
import msgspec
import psycopg
import pytest
from clickhouse_connect.driver.client import Client

from api.auth import issue_token
from api.importing.hackernews import import_hackernews
from api.importing.kuairand import import_kuairand
from api.importing.recount import Recount, recount_kuairand
from api.importing.report import ImportReport
from api.importing.tiktok import import_tiktok
from api.settings import Settings
from api.stack.ranking import refresh_ranking
from api.stack.redis import RedisServer
from api.workers.landing import land_until_settled
from tests.api.conftest import serving
from tests.conftest import settings_on
from tests.importing.searches import SEARCHES

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"

VIDEO = 1_000_000_000


def data(name: str) -> Path:
    """Path of a data set; skips where it is absent."""
    path = DATA / name
    if not path.exists():
        pytest.skip(f"no {path}: see the README of the shared data")
    return path


class World(NamedTuple):
    """KuaiRand, imported and landed."""

    settings: Settings
    clickhouse: Client
    folder: Path
    report: ImportReport
    recount: Recount


@pytest.fixture(scope="module")
def kuairand_world(
    own_clickhouse_url: str,
    clone_database: Callable[[], AbstractContextManager[str]],
    redis_server: RedisServer,
    build_ranking_models: Callable[[str], None],
) -> Iterator[World]:
    """Databases of these tests alone: a million rows would be in every other test's trending."""
    url = own_clickhouse_url
    folder = data("kuairand_pure")
    build_ranking_models(url)
    with clone_database() as postgres_url, clickhouse_connect.get_client(dsn=url) as client:
        settings = settings_on(
            postgres_url=postgres_url, redis_url=redis_server.url, clickhouse_url=url
        )
        recount = recount_kuairand(folder)
        report = import_kuairand(settings, folder, shift_to_now=True)
        land_until_settled(settings)
        refresh_ranking(url)
        yield World(settings, client, folder, report, recount)


@pytest.mark.timeout(600)
def test_clickhouse_holds_exactly_the_deduplicated_kuairand(kuairand_world: World):
    world = kuairand_world
    assert world.report.malformed_lines == 0
    assert world.report.of("impressions").duplicates > 4_000
    with psycopg.connect(world.settings.postgres_url) as connection:
        in_postgres = dict(
            connection.execute("select action, count(*) from app.events group by 1").fetchall()
        )
    assert in_postgres == world.recount.events
    assert counted(world.clickhouse) == everything(world.recount)


@pytest.mark.timeout(600)
def test_feeds_of_real_viewers_obey_the_rules_and_differ(kuairand_world: World):
    clickhouse = kuairand_world.clickhouse
    # Viewers the ranking can know: they liked or commented. Others who watched nothing of the
    # charts rightly share one feed.
    viewers = clickhouse.query(
        "select user_id from raw.user_author_90d group by user_id"
        " having sum(likes) > 0 or sum(comments) > 0 order by cityHash64(user_id) limit 100"
    ).result_rows
    feeds, tops = set(), set()
    for (viewer_id,) in viewers:
        bound = {"viewer_id": viewer_id}
        feed = clickhouse.query(
            "select position, video_id, creator_id, score_ppm"
            " from nova.feed__reels(viewer_ids = [{viewer_id:UInt64}], as_of = now64(3),"
            " variants = ['default'], shown = [[]]) order by position",
            parameters=bound,
        ).result_rows
        barred = clickhouse.query(
            "select item_id from raw.user_watch_history where user_id = {viewer_id:UInt64}"
            " and watched_at > now() - interval 30 day"
            " union distinct select video_id from raw.not_interested_current"
            " where user_id = {viewer_id:UInt64}",
            parameters=bound,
        ).result_rows
        places, videos, creators, scores = zip(*feed, strict=True)

        assert len(videos) >= 40
        assert places == tuple(range(1, len(videos) + 1))
        assert len(set(videos)) == len(videos)
        assert not {(video,) for video in videos} & set(barred)
        assert all(0 <= score <= 1_000_000 for score in scores)
        # Six and a half thousand creators of seven and a half thousand videos: always possible.
        for start in range(len(creators) - 9):
            window = creators[start : start + 10]
            assert max(Counter(window).values()) <= 2, (viewer_id, start)
        feeds.add(videos)
        tops.add(videos[:10])

    assert len(viewers) == 100
    assert len(feeds) > 90
    assert len(tops) > 30


@pytest.mark.timeout(600)
def test_imported_again_nothing_changes(kuairand_world: World):
    world = kuairand_world
    versions = "select sum(_version) from app.video_engagement"
    with psycopg.connect(world.settings.postgres_url, autocommit=True) as connection:
        was = connection.execute(versions).fetchone()
        again = import_kuairand(world.settings, world.folder, shift_to_now=True)
        land_until_settled(world.settings)

        assert again.inserted == 0
        assert connection.execute(versions).fetchone() == was
    assert counted(world.clickhouse) == everything(world.recount)


def everything(expected) -> dict[str, object]:
    """The recount in the shape of `counted`."""
    events = expected.events
    return {
        "viewers": expected.viewers,
        "creators": expected.creators,
        "videos": expected.videos,
        "sounds": expected.sounds,
        "follows": expected.follows,
        "not_interested": events["not_interested"],
        "events": events,
        "watch_ms": expected.watch_ms,
        "rollup": (events["impression"], events["view"], events["like"], events["share"]),
        "rollup views": expected.views_per_video,
        "totals": (events["view"], events["like"], events["comment"], expected.watch_ms),
    }


def counted(clickhouse: Client) -> dict[str, object]:
    """What ClickHouse holds: entities, events, rollups, and totals that came from Postgres."""

    def one(query: str):
        return clickhouse.query(query).result_rows[0]

    def pairs(query: str):
        return dict(clickhouse.query(query).result_rows)

    viewers = "user_id between 1000000000 and 1999999999"
    return {
        "viewers": one(f"select count() from raw.users_current where {viewers}")[0],
        "creators": one(f"select count() from raw.users_current where not {viewers}")[0],
        "videos": one("select count() from raw.videos_current where status = 'published'")[0],
        "sounds": one("select count() from raw.sounds_current")[0],
        "follows": one("select count() from raw.follows_current")[0],
        "not_interested": one("select count() from raw.not_interested_current")[0],
        "events": pairs("select action, count() from raw.events group by action"),
        "watch_ms": one("select sum(watch_ms) from raw.events")[0],
        "rollup": one(
            "select sum(impressions), sum(views), sum(likes), sum(shares)"
            " from raw.video_ranking_signals_1h"
        ),
        "rollup views": pairs(
            f"select video_id - {VIDEO}, sum(views) as seen from raw.video_ranking_signals_1h"
            " group by video_id having seen > 0"
        ),
        "totals": one(
            "select sum(views), sum(likes), sum(comments), sum(watch_ms)"
            " from raw.video_engagement_current"
        ),
    }


def test_tiktok_arrives_whole(import_settings, rows):
    file = data("tiktok_trending_2020") / "videos.jsonl"
    report = import_tiktok(import_settings, file, shift_to_now=True)

    assert report.malformed_lines == 0
    assert report.of("videos").inserted == len(file.read_text().splitlines()) == 1_000
    assert rows("select count(*) from app.videos where title <> ''")[0][0] > 900
    assert import_tiktok(import_settings, file, shift_to_now=True).inserted == 0


@pytest.mark.timeout(600)
def test_charts_of_sounds_and_hashtags_are_a_plain_recount_of_the_file(kuairand_world: World):
    """First at the file's own times; then spread over the nine days that charts are made from."""
    world = kuairand_world
    file = data("tiktok_trending_2020") / "videos.jsonl"
    videos = [json.loads(line) for line in file.read_text().splitlines()]
    names: dict[str, str] = {}  # a sound is called as where it comes first
    for video in videos:
        video["sound_name"] = names.setdefault(video["sound_id"], video["sound_name"])
    spread = (
        "update app.videos set published_at = now() - %s::interval * line from"
        " unnest(%s::bigint[]) with ordinality as read (id, line) where videos.id = read.id"
    )
    ids = [int(video["video_id"]) for video in videos]
    with psycopg.connect(world.settings.postgres_url, autocommit=True) as postgres:
        import_tiktok(world.settings, file, shift_to_now=True)
        for interval in (None, "13 minutes"):
            if interval:
                assert postgres.execute(spread, [interval, ids]).rowcount == 1_000
            land_until_settled(world.settings)
            for kind in ("sounds", "hashtags"):
                world.clickhouse.command(f"system refresh view nova.trending_{kind}_hourly_mv")
                world.clickhouse.command(f"system wait view nova.trending_{kind}_hourly_mv")
            published = dict(
                postgres.execute(
                    "select id, published_at from app.videos where id = any(%s)", [ids]
                ).fetchall()
            )
            for kind, used in (("sounds", sounds_of), ("hashtags", hashtags_of)):
                charted, counted_at = chart_of(world.clickhouse, kind)
                expected = recounted(videos, published, used, counted_at)
                assert charted == expected
                assert len(charted) == 100 if interval else len(charted) > 10


Use = tuple[str, str]  # what is compared, and what is shown


def sounds_of(video: dict[str, Any]) -> set[Use]:
    """The sound of a line of the file."""
    sound = int(video["sound_id"] or 0)
    return {(f"{sound:020}", video["sound_name"])} if sound else set()


def hashtags_of(video: dict[str, Any]) -> set[Use]:
    """The hashtags of a line of the file, each in its first spelling."""
    spellings: dict[str, str] = {}
    for hashtag in video["hashtags"]:
        written = hashtag.lstrip("#")
        plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", written).casefold())
        marks = unicodedata.normalize("NFD", plain.translate(str.maketrans("ıøłđ", "iold")))
        folded = "".join(
            one
            for one in marks
            # Accents, and what has no form of its own: joiners and variation selectors.
            if not "\u0300" <= one <= "\u036f" and one not in "\u200c\u200d\ufe0e\ufe0f"
        )
        if folded:
            spellings.setdefault(unicodedata.normalize("NFC", folded), written)
    return set(spellings.items())


def chart_of(clickhouse: Client, kind: str) -> tuple[list[tuple[Any, ...]], datetime]:
    """The chart of all, in the shape of `recounted`."""
    item, count = {
        "sounds": ("leftPad(toString(sound_id), 20, '0'), name", "usage_count"),
        "hashtags": ("folded_hashtag, hashtag", "post_count"),
    }[kind]
    rows = clickhouse.query(
        f"select {item}, {count}, growth, video_samples, counted_at"
        f" from nova.trending_{kind}_hourly where category = '' order by rank"
    ).result_rows
    return [row[:-1] for row in rows], rows[0][-1].replace(tzinfo=UTC)


def recounted(
    videos: list[dict[str, Any]],
    published: dict[int, datetime],
    used: Callable[[dict[str, Any]], set[Use]],
    counted_at: datetime,
) -> list[tuple[Any, ...]]:
    """What is used, as it is shown, by how many videos, its growth and its best videos."""
    creators: dict[str, list[set[int]]] = defaultdict(lambda: [set() for _ in range(9)])
    spelled: dict[str, Counter[str]] = defaultdict(Counter)
    liked: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for video in videos:
        video_id = int(video["video_id"])
        before = (counted_at - published[video_id]) / timedelta(days=1)
        # The window has its beginning, not its end.
        window = max(0, ceil(before) - 1)
        if window > 8:
            continue
        for item, name in used(video):
            creators[item][window].add(video["creator_id"])
            if window == 0:
                spelled[item][name] += 1
                points = video["likes"] + 2 * video["shares"] + 0.5 * video["comments"]
                liked[item].append((points, video_id))
    weights = [2 ** (-k / 2) for k in range(1, 9)]
    rows = []
    for item, names in spelled.items():
        now, *past = (len(one) for one in creators[item])
        weighted = sum(weight * one for weight, one in zip(weights, past, strict=True))
        expected = max(3.0, weighted / sum(weights))
        growth = max(0.0, round((now - expected) / expected**0.5, 6))
        [shown, _] = min(names.items(), key=lambda one: (-one[1], one[0].encode()))
        best = [video_id for _, video_id in sorted(liked[item], reverse=True)[:10]]
        rows.append((item, shown, names.total(), growth, best))
    rows.sort(key=lambda row: (row[3], row[2], row[0].encode()), reverse=True)
    return rows[:100]


@pytest.mark.timeout(600)
async def test_thirty_searches_find_their_video_among_the_first_five(kuairand_world: World):
    """Through HTTP, by each of the databases; Postgres knows of fewer misspellings."""
    world = kuairand_world
    import_tiktok(world.settings, data("tiktok_trending_2020") / "videos.jsonl", shift_to_now=True)
    land_until_settled(world.settings)
    refresh_ranking(world.settings.clickhouse_url)
    token = issue_token(world.settings, user_id=1, ttl_seconds=600)
    slow = {"clickhouse_timeout_ms": 30_000, "postgres_timeout_ms": 30_000}
    bright = msgspec.structs.replace(world.settings, rate_limit_per_minute=1_000, **slow)
    dark = msgspec.structs.replace(bright, clickhouse_url="http://127.0.0.1:1/")
    missed: dict[str, list[str]] = {}
    for degraded, settings in (("none", bright), ("postgres", dark)):
        missed[degraded] = []
        async with serving(settings) as api:
            for query, video in SEARCHES:
                response = await api.get(
                    "/api/v1/reels/search",
                    headers={"Authorization": f"Bearer {token}"},
                    params={"q": query, "limit": 5},
                )
                page = response.json()
                assert page["meta"]["degraded"] == degraded
                if str(video) not in [one["id"] for one in page["data"]]:
                    missed[degraded].append(query)
    assert len(SEARCHES) >= 30
    assert missed["none"] == []
    assert len(missed["postgres"]) <= 3, missed


def test_hackernews_arrives_whole(import_settings, postgres_url):
    file = data("hackernews_2016_2020") / "stories.csv"
    report = import_hackernews(import_settings, file, shift_to_now=True)

    assert report.malformed_lines == 0
    assert report.of("posts").inserted == 40_000
    with psycopg.connect(postgres_url) as connection:
        newest = connection.execute(
            "select max(created_at) between now() - interval '5 min' and now() from app.posts"
        ).fetchone()
    assert newest == (True,)
    assert import_hackernews(import_settings, file, shift_to_now=True).inserted == 0
