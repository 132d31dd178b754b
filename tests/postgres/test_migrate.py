"""The migration runner: what it applies, what it refuses, and how it recovers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from api.migrate import MigrationError, clickhouse, migrate_clickhouse, migrate_postgres, statements
from api.stack.clickhouse import ClickHouseServer
from api.stack.ports import free_port

ROOT = Path(__file__).parents[2]

Write = Callable[[str, str], Path]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project root with empty folders for migrations."""
    for folder in ("postgres/migrations", "postgres/repeatable", "clickhouse/migrations"):
        (tmp_path / folder).mkdir(parents=True)
    return tmp_path


@pytest.fixture
def migration(root: Path) -> Write:
    """Write a numbered Postgres file."""
    return lambda name, text: write(root / "postgres" / "migrations" / name, text)


@pytest.fixture
def repeatable(root: Path) -> Write:
    """Write a repeatable Postgres file."""
    return lambda name, text: write(root / "postgres" / "repeatable" / name, text)


def write(file: Path, text: str) -> Path:
    file.write_text(text)
    return file


def ask(url: str, query: str) -> Any:
    with psycopg.connect(url) as connection:
        row = connection.execute(query).fetchone()
    assert row is not None
    return row[0]


def tables(url: str) -> list[str]:
    names = (
        "select array_agg(tablename::text order by 1) from pg_tables where schemaname = 'public'"
    )
    return ask(url, names) or []


def test_files_run_once_and_in_order(empty_postgres_url: str, root: Path, migration: Write) -> None:
    migration("0001_create_a.sql", "create table a (n int); insert into a values (1);")
    migration("0002_fill_a.sql", "insert into a values (2);")
    assert migrate_postgres(empty_postgres_url, root) == ["0001_create_a.sql", "0002_fill_a.sql"]
    migration("0003_fill_a.sql", "insert into a values (3);")
    assert migrate_postgres(empty_postgres_url, root) == ["0003_fill_a.sql"]
    assert ask(empty_postgres_url, "select array_agg(n) from a") == [1, 2, 3]


def test_an_edited_file_is_refused_by_name_and_nothing_runs(
    empty_postgres_url: str, root: Path, migration: Write
) -> None:
    migration("0001_create_a.sql", "create table a (n int);")
    migrate_postgres(empty_postgres_url, root)
    migration("0001_create_a.sql", "create table a (n bigint);")
    migration("0002_create_b.sql", "create table b (n int);")
    with pytest.raises(MigrationError, match=r"0001_create_a\.sql was edited"):
        migrate_postgres(empty_postgres_url, root)
    assert tables(empty_postgres_url) == ["a"]


def test_history_may_not_lose_or_rename_a_file(
    empty_postgres_url: str, root: Path, migration: Write
) -> None:
    file = migration("0001_create_a.sql", "create table a (n int);")
    migrate_postgres(empty_postgres_url, root)
    file.rename(file.with_name("0001_create_other.sql"))
    with pytest.raises(MigrationError, match=r"0001_create_a\.sql .* 0001_create_other\.sql now"):
        migrate_postgres(empty_postgres_url, root)
    file.with_name("0001_create_other.sql").unlink()
    with pytest.raises(
        MigrationError, match=r"0001_create_a\.sql was applied, but the file is gone"
    ):
        migrate_postgres(empty_postgres_url, root)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["0001_create_a.sql", "0003_create_c.sql"], r"0003_create_c\.sql .* 0002 is missing"),
        (["0002_create_b.sql"], r"0002_create_b\.sql .* 0001 is missing"),
        (["0001_create_a.sql", "0001_create_b.sql"], r"0001_create_b\.sql .* 0001_create_a\.sql"),
        (["0001_create_a.sql", "2_create_b.sql"], r"2_create_b\.sql is not named"),
        (["0001.sql"], r"0001\.sql is not named"),
    ],
)
def test_a_gap_a_double_number_and_a_strange_name_are_refused_by_name(
    empty_postgres_url: str, root: Path, migration: Write, names: list[str], message: str
) -> None:
    for name in names:
        migration(name, f"create table t_{name[:4]}{name[-5]} (n int);")
    with pytest.raises(MigrationError, match=message):
        migrate_postgres(empty_postgres_url, root)
    assert tables(empty_postgres_url) == []


def test_a_file_that_fails_leaves_nothing_and_says_where(
    empty_postgres_url: str, root: Path, migration: Write
) -> None:
    migration("0001_create_a.sql", "create table a (n int);")
    migration("0002_create_b.sql", "create table b (n int);\n\ncreate table c (n nonsense);")
    with pytest.raises(MigrationError, match=r"0002_create_b\.sql:3 failed: type .nonsense"):
        migrate_postgres(empty_postgres_url, root)
    assert tables(empty_postgres_url) == ["a"]
    migration("0002_create_b.sql", "create table b (n int);")
    assert migrate_postgres(empty_postgres_url, root) == ["0002_create_b.sql"]


def test_a_runner_killed_in_the_middle_of_a_file_leaves_nothing_and_the_next_one_goes_on(
    empty_postgres_url: str, root: Path, migration: Write
) -> None:
    migration("0001_create_a.sql", "create table a (n int);")
    migration(
        "0002_create_b.sql",
        "create table b (n int); select pg_terminate_backend(pg_backend_pid());",
    )
    with pytest.raises(MigrationError, match=r"0002_create_b\.sql"):
        migrate_postgres(empty_postgres_url, root)
    assert tables(empty_postgres_url) == ["a"]
    assert ask(empty_postgres_url, "select max(number) from app.schema_migrations") == 1
    migration("0002_create_b.sql", "create table b (n int);")
    assert migrate_postgres(empty_postgres_url, root) == ["0002_create_b.sql"]


def test_two_runners_at_once_apply_each_file_once(
    empty_postgres_url: str, root: Path, migration: Write, repeatable: Write
) -> None:
    migration("0001_create_a.sql", "create table a (n int); select pg_sleep(0.2);")
    migration("0002_fill_a.sql", "insert into a values (1);")
    repeatable("f.sql", "create or replace function f() returns int language sql return 1;")
    applied: list[list[str]] = []

    def run() -> None:
        applied.append(migrate_postgres(empty_postgres_url, root))

    runners = [threading.Thread(target=run) for _ in range(4)]
    for runner in runners:
        runner.start()
    for runner in runners:
        runner.join(30)

    everything = ["0001_create_a.sql", "0002_fill_a.sql", "f.sql"]
    assert sorted(applied, key=len) == [["f.sql"]] * 3 + [everything]
    assert ask(empty_postgres_url, "select count(*) from a") == 1


def test_a_changed_repeatable_file_is_what_counts_after_the_next_run(
    empty_postgres_url: str, root: Path, repeatable: Write
) -> None:
    repeatable("answer.sql", "create or replace function answer() returns int return 41;")
    migrate_postgres(empty_postgres_url, root)
    repeatable("answer.sql", "create or replace function answer() returns int return 42;")
    assert migrate_postgres(empty_postgres_url, root) == ["answer.sql"]
    assert ask(empty_postgres_url, "select answer()") == 42


def test_repeatable_files_wait_for_what_they_need(
    empty_postgres_url: str, root: Path, repeatable: Write
) -> None:
    repeatable("a.sql", "create or replace view a as select * from b;")
    repeatable("b.sql", "create or replace view b as select c() as n;")
    repeatable("c.sql", "create or replace function c() returns int return 3;")
    assert migrate_postgres(empty_postgres_url, root) == ["c.sql", "b.sql", "a.sql"]
    assert ask(empty_postgres_url, "select n from a") == 3


def test_a_repeatable_file_that_needs_what_nobody_makes_is_named(
    empty_postgres_url: str, root: Path, repeatable: Write
) -> None:
    repeatable("a.sql", "create view a as\nselect * from nowhere;")
    repeatable("b.sql", "create or replace view b as select 1 as n;")
    with pytest.raises(MigrationError, match=r"a\.sql:2 failed: relation .nowhere"):
        migrate_postgres(empty_postgres_url, root)


def test_a_table_in_use_is_waited_for_and_then_named(
    empty_postgres_url: str, root: Path, migration: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever comes after a waiting `alter table` waits behind it, so it must not wait long."""
    monkeypatch.setattr("api.migrate.LOCK_TIMEOUT", "100ms")
    migration("0001_create_a.sql", "create table a (n int);")
    migrate_postgres(empty_postgres_url, root)
    migration("0002_widen_a.sql", "alter table a add m int;")
    with psycopg.connect(empty_postgres_url) as reader:
        reader.execute("select * from a")
        with pytest.raises(MigrationError, match=r"0002_widen_a\.sql waited 100ms"):
            migrate_postgres(empty_postgres_url, root)
    assert migrate_postgres(empty_postgres_url, root) == ["0002_widen_a.sql"]


def test_the_real_migrations_run_on_an_empty_database_and_again(empty_postgres_url: str) -> None:
    first = migrate_postgres(empty_postgres_url, ROOT)
    again = migrate_postgres(empty_postgres_url, ROOT)
    assert first[0] == "0001_create_change_version.sql"
    assert [name for name in again if name[0].isdigit()] == []


# ---------- ClickHouse


@pytest.fixture(scope="module")
def empty_clickhouse(server_root: Path) -> Iterator[str]:
    """An engine of the module's own: the shared one has the real migrations in it."""
    server = ClickHouseServer(server_root / "clickhouse-migrate", free_port(), "secret-@/:")
    server.start()
    yield server.url
    server.stop()


@pytest.fixture
def clickhouse_root(root: Path, empty_clickhouse: str) -> Path:
    """A first migration, on an engine that holds nothing."""
    with clickhouse(empty_clickhouse) as client:
        client.command("drop database if exists raw sync")
    write(
        root / "clickhouse" / "migrations" / "0001_create_raw.sql",
        "create database if not exists raw ${on_cluster};",
    )
    return root


VARIABLES = {"on_cluster": "", "replicated": ""}


def test_clickhouse_files_run_once_and_in_order(
    empty_clickhouse: str, clickhouse_root: Path
) -> None:
    write(
        clickhouse_root / "clickhouse" / "migrations" / "0002_create_a.sql",
        "-- Two statements; the comment has a semicolon too;\n"
        "create table if not exists raw.a (n UInt8 comment 'one; two')\n"
        "engine = ${replicated}MergeTree order by n;\n\n"
        "insert into raw.a values (1);\n",
    )
    both = ["0001_create_raw.sql", "0002_create_a.sql"]
    assert migrate_clickhouse(empty_clickhouse, clickhouse_root, variables=VARIABLES) == both
    assert migrate_clickhouse(empty_clickhouse, clickhouse_root, variables=VARIABLES) == []
    with clickhouse(empty_clickhouse) as client:
        assert client.command("select count() from raw.a") == 1


def test_an_edited_clickhouse_file_is_refused_by_name(
    empty_clickhouse: str, clickhouse_root: Path
) -> None:
    migrate_clickhouse(empty_clickhouse, clickhouse_root, variables=VARIABLES)
    file = clickhouse_root / "clickhouse" / "migrations" / "0001_create_raw.sql"
    write(file, file.read_text() + "-- edited\n")
    with pytest.raises(MigrationError, match=r"0001_create_raw\.sql was edited"):
        migrate_clickhouse(empty_clickhouse, clickhouse_root, variables=VARIABLES)


def test_a_clickhouse_file_that_failed_half_way_runs_again_from_its_start(
    empty_clickhouse: str, clickhouse_root: Path
) -> None:
    create = "create table if not exists raw.a (n UInt8) engine = MergeTree order by n;\n"
    file = clickhouse_root / "clickhouse" / "migrations" / "0002_create_a.sql"
    write(file, create + "create table raw.b (n Nonsense) engine = MergeTree order by n;\n")
    with pytest.raises(MigrationError, match=r"0002_create_a\.sql failed"):
        migrate_clickhouse(empty_clickhouse, clickhouse_root, variables=VARIABLES)
    write(file, create)
    again = migrate_clickhouse(empty_clickhouse, clickhouse_root, variables=VARIABLES)
    assert again == ["0002_create_a.sql"]


def test_a_variable_nobody_set_is_refused_before_its_file_runs(
    empty_clickhouse: str, clickhouse_root: Path
) -> None:
    write(
        clickhouse_root / "clickhouse" / "migrations" / "0002_create_a.sql",
        "create database if not exists oops ${on_custer};",
    )
    with pytest.raises(MigrationError, match=r"0002_create_a\.sql uses unknown \$\{on_custer\}"):
        migrate_clickhouse(empty_clickhouse, clickhouse_root, variables=VARIABLES)
    with clickhouse(empty_clickhouse) as client:
        assert client.command("exists database oops") == 0


def test_statements_end_at_semicolons_that_end_a_line() -> None:
    text = "-- why;\nselect 'a;b';\n  -- only a comment;\n\nselect 2;   \n-- the end\n"
    assert statements(text) == ["-- why;\nselect 'a;b'", "-- only a comment;\n\nselect 2"]
