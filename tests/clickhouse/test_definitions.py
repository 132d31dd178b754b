"""The SQL in clickhouse/: it says what it holds, runs twice, and reads on a cluster."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import clickhouse_connect
import psycopg
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError

from api.stack.migrations import cluster_variables

FOLDER = Path(__file__).parents[2] / "clickhouse"
MIGRATIONS = sorted((FOLDER / "migrations").glob("*.sql"))
TRANSPORTS = sorted((FOLDER / "transports").glob("*/*.sql"))
ACCESS = sorted((FOLDER / "access").glob("*.sql"))


@pytest.fixture
def clickhouse(clickhouse_url: str) -> Iterator[Client]:
    with clickhouse_connect.get_client(dsn=clickhouse_url, autogenerate_session_id=False) as client:
        yield client


def statements(path: Path, cluster: str = "") -> list[str]:
    text = path.read_text()
    for name, value in {**cluster_variables(cluster), "after_txid": "0"}.items():
        text = text.replace(f"${{{name}}}", value)
    return [part for part in re.split(r";[ \t]*$", text, flags=re.MULTILINE) if part.strip()]


def formatted(clickhouse: Client, statement: str) -> str:
    return str(
        clickhouse.query(
            "select formatQuery({statement:String})", parameters={"statement": statement}
        ).result_rows[0][0]
    )


def test_every_table_and_column_says_what_it_holds(clickhouse: Client) -> None:
    silent = clickhouse.query(
        """
        select concat(table, '.', name) from system.columns
        where database = 'raw' and comment = '' and table not like '%_mv'
            and table not in ('schema_migrations')
        union all
        select name from system.tables
        where database = 'raw' and comment = '' and name not like '%_mv'
            and name not in ('schema_migrations')
        """
    ).result_rows
    assert silent == []


def test_events_are_taken_as_long_as_they_are_kept(clickhouse: Client, postgres_url: str) -> None:
    """What Postgres takes and ClickHouse forgets at once would be in the totals alone."""
    definition = clickhouse.command(
        "select engine_full from system.tables where database = 'raw' and name = 'events'"
    )
    kept = re.search(r"TTL event_time \+ toIntervalDay\((\d+)\)", str(definition))
    assert kept is not None
    oldest = "now() - make_interval(hours => 24 * %s)"
    query = f"select app.is_recent({oldest}), app.is_recent({oldest} - interval '1 microsecond')"
    with psycopg.connect(postgres_url) as postgres:
        assert postgres.execute(query, [int(kept[1])] * 2).fetchone() == (True, False)


def test_migrations_may_run_twice(clickhouse: Client) -> None:
    """There is no transaction around DDL: a migration that broke half-way runs again."""
    before = clickhouse.query("select name, uuid from system.tables where database = 'raw'")
    for path in MIGRATIONS:
        for statement in statements(path):
            clickhouse.command(statement)
    after = clickhouse.query("select name, uuid from system.tables where database = 'raw'")
    assert sorted(after.result_rows) == sorted(before.result_rows)


@pytest.mark.parametrize("path", MIGRATIONS, ids=lambda path: path.stem)
def test_on_a_cluster_every_table_is_replicated_everywhere(path: Path, clickhouse: Client) -> None:
    for statement in statements(path, cluster="nova"):
        assert "${" not in statement
        shown = formatted(clickhouse, statement)
        # Rows go where the engine replicates them; what is defined is defined everywhere.
        assert shown.startswith("INSERT INTO") or "ON CLUSTER nova" in shown
        for engine in re.findall(r"ENGINE = (\w+)", shown):
            assert engine.startswith("Replicated") and engine.endswith("MergeTree")


@pytest.mark.parametrize("path", [*TRANSPORTS, *ACCESS], ids=lambda path: path.stem)
def test_the_engine_can_read_every_statement(path: Path, clickhouse: Client) -> None:
    for statement in statements(path):
        assert formatted(clickhouse, statement)


UNKNOWN_ROLE = 511


@pytest.mark.parametrize("path", ACCESS, ids=lambda path: path.stem)
def test_every_grant_is_one_the_engine_has(path: Path, clickhouse: Client) -> None:
    """It has no users here, and says so only of a grant that can be given on what it names."""
    grants = [one for one in statements(path) if formatted(clickhouse, one).startswith("GRANT ")]
    assert grants
    for grant in grants:
        with pytest.raises(DatabaseError) as refusal:
            clickhouse.command(grant)
        assert refusal.value.code == UNKNOWN_ROLE, grant


@pytest.mark.parametrize("rollup", ["events", "video_ranking_signals_1h", "post_metrics_1h"])
def test_what_is_counted_remembers_tokens(rollup: str, clickhouse: Client) -> None:
    """Without the window a repeated block counts twice, and nothing says so."""
    definition = clickhouse.command(f"show create table raw.{rollup}")
    assert "non_replicated_deduplication_window = 10000" in str(definition)


def test_every_table_a_view_fills_remembers_tokens(clickhouse: Client) -> None:
    """A repeated block must count once in each of them, whichever view it came through."""
    filled = clickhouse.query(
        """
        select
            tables.name,
            tables.create_table_query like '%non_replicated_deduplication_window = 10000%'
        from system.tables as tables
        where tables.database = 'raw' and tables.name in (
            select extract(views.create_table_query, ' TO raw\\.(\\w+)')
            from system.tables as views
            where views.database = 'raw' and views.engine = 'MaterializedView'
        )
        -- Counts nothing: a repeated block is to mark its videos again.
        and tables.name != 'video_changes_1m'
        -- A repeated embedding replaces itself.
        and not startsWith(tables.name, 'video_embeddings_')
        """
    ).result_rows
    assert {name for name, remembers in filled if remembers} == {
        "video_ranking_signals_1h",
        "post_metrics_1h",
        "post_actors_1m",
        "user_author_90d",
        "user_watch_history",
        "viewer_facts",
        "video_documents",
    }
    assert all(remembers for _, remembers in filled)
