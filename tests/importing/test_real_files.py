"""
The real data sets, imported, landed in ClickHouse, and compared with an independent recount.

The files are not part of the project. Without them these tests skip; in CI a skip is a failure.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import clickhouse_connect
import psycopg
import pytest
from clickhouse_connect.driver.client import Client

from api.importing.hackernews import import_hackernews
from api.importing.kuairand import import_kuairand
from api.importing.recount import recount_kuairand
from api.importing.tiktok import import_tiktok
from api.migrate import migrate_clickhouse
from api.settings import Settings
from api.stack.clickhouse import ClickHouseServer
from api.stack.migrations import cluster_variables
from api.stack.ports import free_port
from api.workers.landing import land_until_settled

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
SECRET = "tests-sign-with-this-and-nobody-else-does"

VIDEO = 1_000_000_000


def data(name: str) -> Path:
    """Path of a data set; skips where it is absent."""
    path = DATA / name
    if not path.exists():
        pytest.skip(f"no {path}: see the README of the shared data")
    return path


@pytest.fixture
def own_clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseServer]:
    """An engine of this test alone: a million rows would be in every other test's trending."""
    server = ClickHouseServer(tmp_path_factory.mktemp("clickhouse"), free_port(), "only-here")
    server.start()
    migrate_clickhouse(server.url, ROOT, variables=cluster_variables(""))
    yield server
    server.stop()


@pytest.fixture
def landed(
    own_clickhouse: ClickHouseServer, postgres_url: str, redis_url: str
) -> Iterator[tuple[Settings, Client]]:
    """Settings of a system with both databases, and a client to look at the second one."""
    settings = Settings.from_environ(
        {},
        postgres_url=postgres_url,
        redis_url=redis_url,
        clickhouse_url=own_clickhouse.url,
        jwt_secret=SECRET,
        cursor_secret=SECRET,
    )
    client = clickhouse_connect.get_client(dsn=own_clickhouse.url)
    yield settings, client
    client.close()


@pytest.mark.timeout(600)
def test_clickhouse_holds_exactly_the_deduplicated_kuairand(landed, rows):
    folder = data("kuairand_pure")
    settings, clickhouse = landed
    expected = recount_kuairand(folder)

    report = import_kuairand(settings, folder, shift_to_now=True)
    land_until_settled(settings)

    assert report.malformed_lines == 0
    assert report.of("impressions").duplicates > 4_000
    in_postgres = dict(rows("select action, count(*) from app.events group by 1"))
    assert in_postgres == expected.events
    assert counted(clickhouse) == everything(expected)

    # Again: every row is recognised, and nothing new lands.
    versions = "select sum(_version) from app.video_engagement"
    was = rows(versions)
    again = import_kuairand(settings, folder, shift_to_now=True)
    land_until_settled(settings)
    assert again.inserted == 0
    assert rows(versions) == was
    assert counted(clickhouse) == everything(expected)


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
