"""The clients this project uses: clickhouse-connect, sync and async, and dbt."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import clickhouse_connect
import numpy as np
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError
from clickhouse_connect.driver.external import ExternalData

from .conftest import EmbeddedServer


def test_a_client_queries_inserts_and_commands(server: EmbeddedServer, table: str) -> None:
    with server.client() as client:
        client.insert(table, [[1, "a"], [2, "it's"]], column_names=["id", "name"])
        rows = client.query(
            f"select * from {table} where name in {{names:Array(String)}} order by id",
            parameters={"names": ["a", "it's"]},
        )
        assert rows.result_rows == [(1, "a"), (2, "it's")]
        assert rows.summary["read_rows"] == "2"
        assert client.command(f"select count() from {table}") == 2
        assert client.query(f"select * from {table} limit 0").column_names == ("id", "name")
        nothing = client.query(f"select id, toLowCardinality(name) as n from {table} where id > 9")
        assert (nothing.result_rows, nothing.column_names) == ([], ("id", "n"))
        with pytest.raises(DatabaseError, match="UNKNOWN_TABLE"):
            client.query("select * from not_there")
        assert client.ping()


def test_types_survive_the_way(server: EmbeddedServer) -> None:
    with server.client(database="default") as client:
        client.command("drop table if exists all_types")
        client.command(
            "create table all_types (i Int64, f Float64, s LowCardinality(String), a Array(UInt32),"
            " n Nullable(Int8), d Date, t DateTime64(3, 'UTC'), m Map(String, UInt8), b Bool)"
            " engine = MergeTree order by i"
        )
        # The client gives times without a zone when the zone is UTC.
        at = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC).replace(tzinfo=None)
        row = (-5, 0.25, "x", [1, 2], None, date(2026, 1, 2), at, {"k": 1}, True)
        client.insert("all_types", [row])
        assert client.query("select * from all_types").result_rows == [row]
        assert client.query_np("select i, f from all_types").tolist() == [(-5, 0.25)]
        assert client.query_arrow("select i from all_types").to_pylist() == [{"i": -5}]
        frame = client.query_df("select s, a from all_types")
        assert frame.s.tolist() == ["x"]


@pytest.mark.parametrize("compress", ["lz4", "zstd", "gzip", False])
def test_a_million_rows_arrive_as_a_million(
    server: EmbeddedServer, table: str, compress: str | bool
) -> None:
    ids = np.arange(1_000_000, dtype=np.uint64)
    names = np.array([f"name {n % 1000}" for n in range(1_000_000)])
    with server.client(compress=compress) as client:
        summary = client.insert(
            table, [ids, names], column_names=["id", "name"], column_oriented=True
        )
        assert summary.written_rows == 1_000_000
        sums = client.query(f"select count(), uniqExact(id), sum(id) from {table}").first_row
        assert sums == (1_000_000, 1_000_000, 499_999_500_000)
        back = client.query_np(f"select id from {table} order by id")
        assert (back.ravel() == ids).all()


def test_results_are_streamed_to_a_client(server: EmbeddedServer) -> None:
    with (
        server.client() as client,
        client.query_row_block_stream("select number from numbers(2000000)") as stream,
    ):
        assert sum(len(block) for block in stream) == 2_000_000


def test_a_failing_stream_raises(server: EmbeddedServer) -> None:
    sql = "select throwIf(number = 2500000), number from numbers(5000000)"
    with (
        server.client() as client,
        pytest.raises(Exception, match=r"FUNCTION_THROW_IF|395"),
        client.query_row_block_stream(sql) as stream,
    ):
        for _ in stream:
            pass


def test_sessions_of_clients_do_not_meet(server: EmbeddedServer) -> None:
    with server.client() as one, server.client() as two:
        one.command("create temporary table mine (a UInt8)")
        one.insert("mine", [[1], [2]])
        assert one.query("select sum(a) from mine").first_row == (3,)
        with pytest.raises(DatabaseError, match="UNKNOWN_TABLE"):
            two.query("select * from mine")


def test_long_parameters_and_external_tables_come_as_a_form(server: EmbeddedServer) -> None:
    wanted = list(range(50_000))
    with server.client(autogenerate_session_id=False) as client:
        found = client.query(
            "select count() from numbers(100000) where number in {ids:Array(UInt64)}",
            parameters={"ids": wanted},
        )
        assert found.first_row == (50_000,)
        data = ExternalData(
            file_name="wanted", data=b"3\tc\n5\te\n", fmt="TSV", structure=["id UInt8", "n String"]
        )
        joined = client.query(
            "select id, n from wanted where id in (select number from numbers(9)) order by id",
            external_data=data,
        )
        assert joined.result_rows == [(3, "c"), (5, "e")]
        with pytest.raises(DatabaseError, match="UNKNOWN_TABLE"):
            client.query("select * from wanted")


async def test_the_async_client_runs_many_at_once(server: EmbeddedServer, table: str) -> None:
    async with await clickhouse_connect.get_async_client(
        host="127.0.0.1", port=server.port, autogenerate_session_id=False
    ) as client:
        await asyncio.gather(*(client.insert(table, [[n, "x"]]) for n in range(20)))
        answers = await asyncio.gather(
            *(
                client.query(
                    "select {n:UInt32} as n, getSetting('max_block_size')",
                    parameters={"n": n},
                    settings={"max_block_size": 1000 + n},
                )
                for n in range(60)
            )
        )
        assert [a.first_row for a in answers] == [(n, 1000 + n) for n in range(60)]
        assert (await client.query(f"select count() from {table}")).first_row == (20,)


MODELS = {
    "numbered.sql": "{{ config(materialized='table', order_by='id') }}\n"
    "select number as id, toString(number) as name from numbers(10)",
    "grown.sql": "{{ config(materialized='incremental', order_by='id', unique_key='id') }}\n"
    "select id, name from {{ ref('numbered') }}",
    "doubled.sql": "select id, name, id * 2 as twice from {{ ref('numbered') }}",
    "models.yml": """
models:
  - name: numbered
    config: {contract: {enforced: true}}
    columns:
      - {name: id, data_type: UInt64, data_tests: [unique, not_null]}
      - {name: name, data_type: String}
unit_tests:
  - name: twice_is_twice
    model: doubled
    given: [{input: ref('numbered'), rows: [{id: 1, name: "it's"}, {id: 4, name: y}]}]
    expect: {rows: [{id: 1, twice: 2}, {id: 4, twice: 8}]}
  - name: of_nothing_comes_nothing
    model: doubled
    given: [{input: ref('numbered'), rows: []}]
    expect: {rows: []}
""",
}
PROFILE = """
tiny:
  target: dev
  outputs:
    dev: {type: clickhouse, host: 127.0.0.1, port: %d, schema: tiny, threads: 4}
"""
PROJECT = "{name: tiny, version: 1.0.0, profile: tiny, flags: {send_anonymous_usage_stats: false}}"


def test_dbt_builds_a_project_with_unit_tests(server: EmbeddedServer, tmp_path: Path) -> None:
    (tmp_path / "dbt_project.yml").write_text(PROJECT)
    (tmp_path / "profiles.yml").write_text(PROFILE % server.port)
    (tmp_path / "models").mkdir()
    for name, text in MODELS.items():
        (tmp_path / "models" / name).write_text(text)

    dbt = Path(sys.executable).with_name("dbt")
    run = subprocess.run(
        [str(dbt), "--no-use-colors", "build", "--profiles-dir", "."],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"},
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "PASS=7 " in run.stdout, run.stdout
    assert server.ask("select sum(twice) from tiny.doubled").text == "90\n"
    assert server.ask("select count() from tiny.grown").text == "10\n"
