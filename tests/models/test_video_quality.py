"""Signals of videos are what all hours say, whichever of them were counted before."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import clickhouse_connect
import pytest
import yaml
from clickhouse_connect.driver.client import Client

ROOT = Path(__file__).parents[2]
VARS = yaml.safe_load((ROOT / "dbt_project.yml").read_text())["vars"]

FIRST = 7_300_000_000_000_000_000
MINE = f"video_id between {FIRST} and {FIRST + 999}"
HOURS = "raw.video_ranking_signals_1h"
COLUMNS = ["video_id", "hour", "views", "completions", "known_completions", "likes", "shares"]
NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


@pytest.fixture
def clickhouse(ranked_clickhouse_url: str) -> Iterator[Client]:
    with clickhouse_connect.get_client(dsn=ranked_clickhouse_url) as client:
        yield client


def count(client: Client, videos: range, *, days_ago: int, sign: int = 1) -> None:
    """Add to (or take from) some hours of videos."""
    chance = random.Random(videos.start + days_ago)
    rows = []
    for number in videos:
        for _ in range(10):
            views = chance.randrange(1, 40)
            known = chance.randrange(views + 1)
            hour = NOW - timedelta(days=days_ago, hours=chance.randrange(48))
            rows.append(
                [FIRST + number, hour, views, known / 4, known, sign * chance.randrange(9), 1]
            )
    client.insert(HOURS, rows, column_names=COLUMNS, settings={"async_insert": 0})


def assert_exact(client: Client, videos: int) -> None:
    """Compare with a count of all hours by the formulas of docs/ranking.md."""
    prior, weight = VARS["completion_prior_rate"], VARS["completion_prior_views"]
    points = (
        f"{VARS['engagement_points_per_like']} * sum(likes)"
        f" + {VARS['engagement_points_per_share']} * sum(shares)"
    )
    mean, pull = VARS["engagement_prior_rate"], VARS["engagement_prior_views"]
    said = client.query(
        "select video_id, known_completions, views, completion, engagement"
        f" from nova.sig_video__quality where {MINE} order by video_id"
    ).result_rows
    counted = client.query(
        "select video_id, sum(known_completions) as known, sum(views) as viewed,"
        f" (sum(completions) + {prior} * {weight}) / (known + {weight}),"
        f" greatest(0, least(1, ({points} + {mean} * {pull}) / (viewed + {pull})))"
        f" from {HOURS} where {MINE} group by video_id order by video_id"
    ).result_rows
    assert len(counted) == videos
    assert said == [pytest.approx(row, rel=1e-9) for row in counted]


def count_whole(client: Client) -> None:
    """Count all hours, and forget what had changed before."""
    client.command("system refresh view nova.sig_video__totals_mv")
    client.command("system wait view nova.sig_video__totals_mv")
    client.command(f"delete from raw.video_changes_1m where {MINE}")


def test_signals_are_exact_through_late_events_corrections_and_the_end_of_hours(
    clickhouse: Client,
) -> None:
    count(clickhouse, range(40), days_ago=3)
    count(clickhouse, range(40), days_ago=80)
    assert_exact(clickhouse, 40)

    count_whole(clickhouse)
    assert_exact(clickhouse, 40)
    # Hours that go without anything having landed are found by the next whole count.
    clickhouse.command(f"delete from {HOURS} where {MINE} and hour < now() - interval 70 day")
    count_whole(clickhouse)
    assert_exact(clickhouse, 40)

    count(clickhouse, range(10, 20), days_ago=0)
    count(clickhouse, range(20, 30), days_ago=28)
    count(clickhouse, range(30, 45), days_ago=3, sign=-1)
    assert_exact(clickhouse, 45)
    clickhouse.command("system refresh view nova.sig_video__totals_mv")
    clickhouse.command("system wait view nova.sig_video__totals_mv")
    assert_exact(clickhouse, 45)
