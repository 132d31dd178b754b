"""The models as CI must judge them: built with every test, on a world, and broken on purpose."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

import clickhouse_connect
import msgspec
import pytest
from clickhouse_connect.driver.client import Client

from api.importing.sample import generate_sample
from api.stack.dbt import dbt
from api.stack.ranking import drop_forgotten, in_order_of_making
from api.stack.redis import RedisServer
from api.workers.landing import land_until_settled
from tests.conftest import settings_on

ROOT = Path(__file__).parents[2]
PROJECT = ("dbt_project.yml", "profiles.yml", "selectors.yml", "models", "macros", "tests/dbt")


class World(NamedTuple):
    """A sample world, landed in a ClickHouse of its own, not yet ranked."""

    url: str
    clickhouse: Client


class Project:
    """A copy of the dbt project that a test may break."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        for name in PROJECT:
            source = ROOT / name
            copy = shutil.copytree if source.is_dir() else shutil.copy
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            copy(source, folder / name)

    def replace(self, file: str, old: str, new: str) -> None:
        path = self.folder / file
        text = path.read_text()
        assert old in text, f"{file} no longer says {old!r}"
        path.write_text(text.replace(old, new))

    def dbt(self, *arguments: str) -> tuple[int, str]:
        ended = dbt(
            ["--no-use-colors", *arguments],
            self.url,
            project_dir=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        return ended.returncode, ended.stdout.decode()


@pytest.fixture(scope="module")
def world(
    own_clickhouse_url: str,
    clone_database: Callable[[], AbstractContextManager[str]],
    redis_server: RedisServer,
) -> Iterator[World]:
    url = own_clickhouse_url
    with clone_database() as postgres_url, clickhouse_connect.get_client(dsn=url) as client:
        settings = settings_on(
            postgres_url=postgres_url, redis_url=redis_server.url, clickhouse_url=url
        )
        generate_sample(settings)
        land_until_settled(settings)
        yield World(url, client)


@pytest.fixture(scope="module")
def built(world: World, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What dbt said when everything was built and tested."""
    project = Project(tmp_path_factory.mktemp("whole"), world.url)
    code, words = project.dbt("build")
    assert code == 0, words
    # Growth moves with the clock: feeds are compared that were ranked with one chart.
    world.clickhouse.command("system stop view nova.trending_reels_mv")
    return words


@pytest.fixture
def project(world: World, built: str, tmp_path: Path) -> Project:
    return Project(tmp_path, world.url)


def order_of(world: World, viewer_id: int = 42) -> list[int]:
    """The feed as the API would read it."""
    rows = world.clickhouse.query(
        "select video_id from nova.feed__reels(viewer_ids = [{viewer_id:UInt64}],"
        " as_of = toDateTime64(toStartOfHour(now()), 3, 'UTC'), variants = ['default'],"
        " shown = [[]]) order by position limit 40",
        parameters={"viewer_id": viewer_id},
    ).result_rows
    return [video_id for (video_id,) in rows]


@pytest.mark.timeout(300)
def test_everything_builds_and_every_test_passes(built: str):
    assert "ERROR=0" in built
    assert "unit_test" in built or "unit test" in built


def test_every_viewer_of_the_sample_has_a_full_page(world: World, built: str):
    assert all(len(order_of(world, viewer_id)) == 40 for viewer_id in range(1, 41))


def test_a_change_of_weights_changes_the_served_order(world: World, project: Project):
    before = order_of(world)
    project.replace("models/seeds/variants.csv", "default,0.15,0.40", "default,0.55,0.00")
    code, words = project.dbt("build", "--selector", "weights")
    assert code == 0, words
    after = order_of(world)
    assert after != before

    project.replace("models/seeds/variants.csv", "default,0.55,0.00", "default,0.15,0.40")
    assert project.dbt("build", "--selector", "weights")[0] == 0
    assert order_of(world) == before


def test_weights_that_do_not_sum_to_one_are_never_served(world: World, project: Project):
    weights = "select * from nova.ranking_weights order by variant"
    before = world.clickhouse.query(weights).result_rows
    project.replace("models/seeds/variants.csv", "default,0.15,0.40", "default,0.15,0.50")

    code, words = project.dbt("build", "--selector", "weights")

    assert code == 1
    assert "weights_sum_to_one" in words
    assert world.clickhouse.query(weights).result_rows == before


def test_a_formula_that_misbehaves_fails_its_unit_test(project: Project):
    project.replace(
        "dbt_project.yml", "engagement_points_per_share: 2", "engagement_points_per_share: 1"
    )
    code, words = project.dbt("test", "--select", "test_type:unit")
    assert code == 1
    assert "FAIL" in words


def test_a_broken_contract_is_not_served(world: World, project: Project):
    before = order_of(world)
    project.replace("models/serving/feed__reels.sql", ") as source", ") as headline")
    code, words = project.dbt("run", "--select", "feed__reels")
    assert code == 1
    assert "contract" in words.lower()
    assert order_of(world) == before


def test_what_is_no_longer_a_model_is_dropped(world: World, built: str, tmp_path: Path):
    manifest = tmp_path / "manifest.json"
    names = {
        row[0].removesuffix("_mv")
        for row in world.clickhouse.query(
            "select name from system.tables where database = 'nova'"
        ).result_rows
    }
    nodes = {name: {"resource_type": "model", "name": name} for name in names}
    nodes["a test"] = {"resource_type": "test", "name": "old_videos"}
    manifest.write_bytes(msgspec.json.encode({"nodes": nodes}))
    for statement in (
        "create table nova.old_videos (id UInt64) order by id",
        "create materialized view nova.old_videos_mv refresh every 1 hour to nova.old_videos"
        " as select toUInt64(1) as id",
        "create view nova.old_feed as select * from nova.old_videos",
        "create dictionary nova.old_videos_dict (id UInt64, n UInt64) primary key id"
        " source(clickhouse(db 'nova' table 'old_videos')) layout(hashed()) lifetime(0)",
    ):
        world.clickhouse.command(statement)

    dropped = drop_forgotten(world.url, manifest)

    assert sorted(dropped) == ["old_feed", "old_videos", "old_videos_dict", "old_videos_mv"]
    left = world.clickhouse.query("select name from system.tables where database = 'nova'")
    assert {row[0].removesuffix("_mv") for row in left.result_rows} == names
    assert drop_forgotten(world.url, manifest) == []


def test_models_are_refreshed_after_what_they_are_made_of(world: World, built: str):
    order = [name for name, _ in in_order_of_making(world.clickhouse)]
    for earlier, later in (
        ("sig_video__totals", "video_signals"),
        ("video_signals", "dict_video_signals"),
        ("video_signals", "trending_reels"),
        ("trending_reels", "cand_list__videos"),
        ("cand_list__videos", "dict_candidate_lists"),
        ("post_cards", "cand_post__by_author"),
    ):
        assert order.index(earlier) < order.index(later)
