"""The `_current` views: the newest version of a row, unless that one is deleted."""

from __future__ import annotations

from collections.abc import Iterator

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client

VIEWER = 7_800_000_000_000


@pytest.fixture
def clickhouse(clickhouse_url: str) -> Iterator[Client]:
    with clickhouse_connect.get_client(dsn=clickhouse_url, autogenerate_session_id=False) as client:
        yield client


def follow(clickhouse: Client, followee: int, version: int, *, deleted: bool = False) -> None:
    clickhouse.insert(
        "raw.follows",
        [[VIEWER, followee, deleted, version, version]],
        column_names=["follower_id", "followee_id", "deleted", "_txid", "_version"],
    )


def test_newest_version_wins_whatever_the_order_of_arrival(clickhouse: Client) -> None:
    follow(clickhouse, 1, version=10)
    follow(clickhouse, 2, version=21, deleted=True)
    follow(clickhouse, 2, version=20)  # an older version that arrives late
    follow(clickhouse, 3, version=30, deleted=True)
    follow(clickhouse, 3, version=31)  # followed again
    follow(clickhouse, 3, version=31)  # landed twice

    rows = clickhouse.query(
        f"select followee_id, _version from raw.follows_current "
        f"where follower_id = {VIEWER} order by followee_id"
    ).result_rows
    assert [tuple(row) for row in rows] == [(1, 10), (3, 31)]


def test_every_entity_has_a_current_view_with_its_columns(clickhouse: Client) -> None:
    """A column added to a landing table must not be forgotten in the view before it."""
    columns: dict[str, set[str]] = {}
    for table, name in clickhouse.query(
        "select table, name from system.columns where database = 'raw'"
    ).result_rows:
        columns.setdefault(table, set()).add(name)

    entities = {table for table, names in columns.items() if {"_version", "deleted"} <= names}
    # Embeddings have versions of models, and are never deleted one by one.
    assert entities | {"video_embeddings"} == {
        name.removesuffix("_current") for name in columns if "_current" in name
    }
    # What tells of the past is read from raw.follows_ever.
    past = {"follows": {"ended_at"}}
    for table in entities:
        now = columns[table] - {"_txid", "deleted"} - past.get(table, set())
        assert columns[f"{table}_current"] == now
