"""Versions of embeddings: named after their dimensions, and at most one is served."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest


@pytest.fixture
def postgres(postgres_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        yield connection


def register(postgres: psycopg.Connection, version: str, provider: str = "sql") -> None:
    postgres.execute("select app.register_deep_recall_model(%s, %s)", [version, provider])


def active(postgres: psycopg.Connection) -> list[str]:
    query = "select model_version from app.deep_recall_models where active"
    return [row[0] for row in postgres.execute(query)]


def test_the_default_needs_no_model_server(postgres: psycopg.Connection) -> None:
    query = "select provider from app.deep_recall_models where active"
    assert postgres.execute(query).fetchall() == [("sql",)]


@pytest.mark.parametrize("version", ["m", "m-63d", "m-513d", "m-64", "M-64d", "m-064d", "-64d"])
def test_a_version_names_its_dimensions(postgres: psycopg.Connection, version: str) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        register(postgres, version)


def test_one_switch_turns_one_on_and_the_other_off(postgres: psycopg.Connection) -> None:
    register(postgres, "two_tower-128d", "tensorflow_serving")
    before = active(postgres)
    assert before != ["two_tower-128d"]
    postgres.execute("select app.activate_deep_recall_model('two_tower-128d')")
    assert active(postgres) == ["two_tower-128d"]
    # Both rows have the transaction of the switch: they land in one window.
    changed = (
        "select count(distinct _txid) from app.deep_recall_models where model_version = any(%s)"
    )
    assert postgres.execute(changed, [["two_tower-128d", *before]]).fetchone() == (1,)
    postgres.execute("select app.activate_deep_recall_model(null)")
    assert active(postgres) == []
    with pytest.raises(psycopg.Error) as refusal:
        postgres.execute("select app.activate_deep_recall_model('nobody-64d')")
    assert refusal.value.sqlstate == "NV404"


def test_a_version_keeps_its_provider(postgres: psycopg.Connection) -> None:
    register(postgres, "m-64d", "sql")
    register(postgres, "m-64d", "sql")
    with pytest.raises(psycopg.Error) as refusal:
        register(postgres, "m-64d", "tensorflow_serving")
    assert refusal.value.sqlstate == "NV400"


def test_switches_at_once_leave_one_active(postgres: psycopg.Connection, postgres_url: str) -> None:
    versions = [f"m{number}-64d" for number in range(4)]
    for version in versions:
        register(postgres, version)

    def switch(version: str) -> None:
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            for _ in range(5):
                connection.execute("select app.activate_deep_recall_model(%s)", [version])

    with ThreadPoolExecutor(len(versions)) as threads:
        list(threads.map(switch, versions))
    assert len(active(postgres)) == 1
