"""Embeddings: what gets in, and whether the index finds what an exact search does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError

VIOLATED_CONSTRAINT = 469
VIDEO = 7_300_000_000_000_000_000


@pytest.fixture
def clickhouse(clickhouse_url: str) -> Iterator[Client]:
    with clickhouse_connect.get_client(dsn=clickhouse_url, autogenerate_session_id=False) as client:
        yield client


def insert(clickhouse: Client, version: str, *embeddings: list[float]) -> None:
    clickhouse.insert(
        "raw.video_embeddings",
        [[version, VIDEO + n, embedding] for n, embedding in enumerate(embeddings)],
        column_names=["model_version", "video_id", "embedding"],
        settings={"async_insert": 0},
    )


@pytest.mark.parametrize(
    ("version", "embedding"),
    [
        ("refused-64d", [1.0] * 65),
        ("refused-64d", [1.0] * 63),
        ("refused-64d", []),
        ("refused-63d", [1.0] * 63),
        ("refused-513d", [1.0] * 513),
        ("refused", [1.0] * 64),
        ("refused-64d", [0.0] * 64),
        ("refused-64d", [float("nan")] + [1.0] * 63),
        ("refused-64d", [float("inf")] + [1.0] * 63),
    ],
)
def test_a_vector_that_is_not_of_its_version_is_refused_with_its_whole_batch(
    version: str, embedding: list[float], clickhouse: Client
) -> None:
    with pytest.raises(DatabaseError) as refusal:
        clickhouse.command(
            "insert into raw.video_embeddings (model_version, video_id, embedding)"
            " select {version:String}, 1, {embedding:Array(Float32)}",
            parameters={"version": version, "embedding": embedding},
        )
    assert refusal.value.code == VIOLATED_CONSTRAINT
    # The embedded engine refuses rows that come with the statement too, and does not say so.
    with suppress(DatabaseError):
        insert(clickhouse, version, [0.5] * 64, embedding)
    assert (
        clickhouse.query(
            "select video_id from raw.video_embeddings where startsWith(model_version, 'refused')"
        ).result_rows
        == []
    )


@pytest.mark.parametrize(
    ("dimensions", "index"), [(64, 64), (65, 128), (128, 128), (200, 256), (300, 512), (512, 512)]
)
def test_every_dimension_has_an_index(dimensions: int, index: int, clickhouse: Client) -> None:
    version = f"indexed-{dimensions}d"
    insert(clickhouse, version, [1.0] * dimensions, [-1.0] * dimensions)
    found = {
        table: clickhouse.query(
            f"select video_id, length(embedding) from raw.video_embeddings_{table}"
            f" where model_version = '{version}'"
            f" order by cosineDistance(embedding, arrayResize(arrayWithConstant({dimensions},"
            f" toFloat32(2)), {table}, toFloat32(0))) limit 1"
        ).result_rows
        for table in (64, 128, 256, 512)
    }
    assert found == {
        table: [(VIDEO, index)] if table == index else [] for table in (64, 128, 256, 512)
    }


# Around fifty centres, as real ones are: nobody is alone, and many are nearly as near.
HEAPS = """
insert into raw.video_embeddings (model_version, video_id, embedding)
select
    'heaps-64d',
    number,
    arrayMap(
        n -> toFloat32(
            sipHash64(number % 50, n) / 18446744073709551615. - 0.5
            + 0.7 * (sipHash64(number, n, 'own') / 18446744073709551615. - 0.5)
        ),
        range(64)
    )
from numbers(3000)
"""
NEAREST = """
select video_id from raw.video_embeddings_64 where model_version = 'heaps-64d'
order by cosineDistance(embedding, {reference:Array(Float32)}) limit 10
settings use_skip_indexes = INDEXED
"""
RECALL_MIN = 0.95


def test_the_index_finds_what_comparing_with_all_finds(clickhouse: Client) -> None:
    clickhouse.command(HEAPS)
    found = 0
    for number in range(20):
        ((reference,),) = clickhouse.query(
            "select any(embedding) from raw.video_embeddings"
            f" where model_version = 'heaps-64d' and video_id = {number * 131}"
        ).result_rows
        answers = []
        for indexed in (1, 0):
            query = NEAREST.replace("INDEXED", str(indexed))
            asked = {"reference": list(reference)}
            answers.append({row[0] for row in clickhouse.query(query, asked).result_rows})
            plan = clickhouse.query(f"explain indexes = 1 {query}", asked).result_rows
            assert any("by_direction" in line for (line,) in plan) == bool(indexed)
        found += len(answers[0] & answers[1])
    assert found / 200 >= RECALL_MIN
