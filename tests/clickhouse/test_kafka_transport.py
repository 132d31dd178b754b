"""
What Debezium publishes must land as the same rows the pull transport lands.

Queues are replaced by `Null` tables, which feed their views in the same way without a broker.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import clickhouse_connect
import msgspec
import pytest
from clickhouse_connect.driver.client import Client

CONSUMERS = sorted(
    (Path(__file__).parents[2] / "clickhouse" / "transports" / "kafka").glob("*.sql")
)
AFTER_TXID = 5_000
ID = 7_900_000_000_000


@pytest.fixture
def clickhouse(clickhouse_url: str) -> Iterator[Client]:
    """A client, with the consumers created and dropped around the test."""
    with clickhouse_connect.get_client(dsn=clickhouse_url, autogenerate_session_id=False) as client:
        made = []
        for path in CONSUMERS:
            text = path.read_text().replace("${on_cluster}", "")
            text = text.replace("${after_txid}", str(AFTER_TXID))
            text, queues = re.subn(
                r"engine = Kafka\(nova_kafka\)\nsettings[^;]*;", "engine = Null;", text
            )
            assert queues == 1
            for statement in re.split(r";[ \t]*$", text, flags=re.MULTILINE):
                if statement.strip():
                    client.command(statement)
            made.append(f"kafka_{path.stem.partition('_consume_')[2]}")
        yield client
        for queue in made:
            client.command(f"drop table raw.{queue}_mv")
            client.command(f"drop table raw.{queue}")


def publish(clickhouse: Client, table: str, *rows: dict[str, object]) -> None:
    lines = b"\n".join(msgspec.json.encode(row) for row in rows)
    clickhouse.raw_insert(
        f"raw.kafka_{table}",
        insert_block=lines,
        fmt="JSONEachRow",
        settings={"input_format_skip_unknown_fields": 1, "async_insert": 0},
    )


def test_a_consumer_for_every_table_the_pull_transport_lands() -> None:
    pulled = {
        path.stem.removeprefix("land_") for path in CONSUMERS[0].parents[1].glob("pull/land_*.sql")
    }
    assert {path.stem.partition("_consume_")[2] for path in CONSUMERS} == pulled


def test_a_video_lands_with_all_its_columns(clickhouse: Client) -> None:
    row = {
        "id": ID,
        "creator_id": 7,
        "sound_id": None,
        "category": None,
        "title": "tab\t\\ 'quoted' \n漢",
        "description": "",
        "hashtags": ["a", 'b "c"'],
        "duration_ms": 9_000,
        "status": "uploading",
        "created_at": "2026-11-02T03:04:05.678901Z",
        "published_at": None,
        "thumbnail_url": "",
        "deleted": False,
        "_txid": 1,
        "_version": 1,
    }
    published = {
        **row,
        "status": "published",
        "sound_id": 3,
        "category": "pets",
        "published_at": "2026-11-02T04:00:00Z",
        "_version": 2,
    }
    publish(clickhouse, "videos", published, row)  # whatever the order

    found = clickhouse.query(
        "select sound_id, category, title, hashtags, status, toString(created_at), "
        f"toString(published_at), _version from raw.videos_current where video_id = {ID}"
    ).result_rows
    assert [tuple(one) for one in found] == [
        (
            3,
            "pets",
            row["title"],
            row["hashtags"],
            "published",
            "2026-11-02 03:04:05.678",
            "2026-11-02 04:00:00.000",
            2,
        )
    ]

    publish(clickhouse, "videos", {**published, "published_at": None, "_version": 3})
    assert clickhouse.query(
        f"select toUnixTimestamp(published_at) from raw.videos_current where video_id = {ID}"
    ).result_rows == [(0,)]
    publish(clickhouse, "videos", {**published, "deleted": True, "_version": 4})
    assert not clickhouse.query(
        f"select video_id from raw.videos_current where video_id = {ID}"
    ).result_rows


def test_events_after_the_pull_transport_are_counted_and_earlier_ones_are_not(
    clickhouse: Client,
) -> None:
    at = (datetime.now(UTC) - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    event = {
        "idempotent_key": -5,
        "event_time": at,
        "user_id": ID,
        "item_id": ID,
        "item_type": "video",
        "author_id": 7,
        "action": "view",
        "dwell_ms": 0,
        "watch_ms": 1_200,
        "completion": None,
        "device": "phone",
        "app_ver": "1.2.3",
        "feed_request_id": None,
        "received_at": at,
        "_txid": AFTER_TXID + 1,
    }
    publish(
        clickhouse,
        "events",
        event,
        {**event, "completion": 0.5, "feed_request_id": "6f0d0c9e-3a53-4ae5-94d5-2a7bd6b3c0a1"},
        {**event, "_txid": AFTER_TXID},
    )
    assert clickhouse.query(
        "select sum(views), sum(completions), sum(known_completions), sum(watch_ms) "
        f"from raw.video_ranking_signals_1h where video_id = {ID}"
    ).result_rows == [(2, 0.5, 1, 2_400)]
    assert clickhouse.query(
        f"select groupUniqArray(toUnixTimestamp(event_time)) from raw.events where item_id = {ID}"
    ).result_rows == [([int(datetime.fromisoformat(at).timestamp())],)]


@pytest.mark.parametrize(
    ("table", "row", "where"),
    [
        ("users", {"id": ID, "username": None}, f"user_id = {ID}"),
        ("follows", {"follower_id": ID, "followee_id": 2}, f"follower_id = {ID}"),
        ("blocks", {"blocker_id": ID, "blocked_id": 2}, f"blocker_id = {ID}"),
        ("sounds", {"id": ID, "name": "song", "is_original": True}, f"sound_id = {ID}"),
        ("not_interested", {"user_id": ID, "video_id": 2}, f"user_id = {ID}"),
        ("not_interested_posts", {"user_id": ID, "post_id": 2}, f"user_id = {ID}"),
        (
            "posts",
            {"id": ID, "author_id": 2, "body": "text", "hashtags": []},
            f"post_id = {ID}",
        ),
        ("video_engagement", {"video_id": ID, "views": 3, "completions": 1.5}, f"video_id = {ID}"),
        ("post_engagement", {"post_id": ID, "dwell_ms": 3}, f"post_id = {ID}"),
        (
            "deep_recall_models",
            {"model_version": "m-64d", "provider": "sql", "metrics": '{"recall_at_50": 0.2}'},
            "model_version = 'm-64d'",
        ),
    ],
)
def test_each_entity_lands(
    table: str, row: dict[str, object], where: str, clickhouse: Client
) -> None:
    created = {"created_at": "2026-11-02T03:04:05.678901Z"}
    publish(clickhouse, table, {**row, **created, "deleted": False, "_txid": 1, "_version": 9})
    found = clickhouse.query(f"select _version from raw.{table}_current where {where}").result_rows
    assert found == [(9,)]


def test_relations_are_on_the_lists_of_a_viewer_whatever_the_order(clickhouse: Client) -> None:
    viewer = ID + 1
    row = {"created_at": "2026-11-02T03:04:05.678901Z", "_txid": 1}
    follow = {**row, "follower_id": viewer, "followee_id": 2}
    publish(clickhouse, "follows", {**follow, "deleted": False, "_version": 9})
    publish(clickhouse, "follows", {**follow, "deleted": True, "_version": 8})
    block = {**row, "blocker_id": 3, "blocked_id": viewer, "_version": 7}
    publish(clickhouse, "blocks", {**block, "deleted": True}, {**block, "deleted": True})
    found = clickhouse.query(
        "select list, id, max(stands) from raw.viewer_facts "
        f"where viewer_id = {viewer} group by list, id order by list"
    ).result_rows
    assert found == [("blocked_by", 3, 14), ("followee", 2, 19)]
