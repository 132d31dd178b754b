"""What a request may see of other requests: sessions everything, others nothing."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from .conftest import EmbeddedServer


def test_settings_hold_for_one_request(server: EmbeddedServer) -> None:
    sql = "select getSetting('max_threads'), getSetting('max_block_size')"
    usual = server.ask(sql).text
    assert server.ask(sql, max_threads=7).text.startswith("7\t")
    assert server.ask(sql, max_block_size=123).text.endswith("\t123\n")
    assert server.ask(sql).text == usual
    server.ask("set max_threads = 5")
    server.ask("use system")
    server.ask("create temporary table lingering (a Int8)")
    assert [server.ask(sql).text for _ in range(20)] == [usual] * 20
    assert server.ask("select currentDatabase()").text == "default\n"
    assert server.ask("select * from lingering").code == 60


def test_a_refused_setting_leaves_nothing_behind(server: EmbeddedServer) -> None:
    sql = "select getSetting('max_threads')"
    usual = server.ask(sql).text
    assert server.ask(sql, max_threads=3, no_such_setting=1).code == 115
    assert {server.ask(sql).text for _ in range(20)} == {usual}


def test_settings_do_not_mix_between_threads(server: EmbeddedServer) -> None:
    sql = "select getSetting('max_block_size')"

    def one(n: int) -> bool:
        return server.ask(sql, max_block_size=1_000 + n % 13).text == f"{1_000 + n % 13}\n"

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(one, range(300)))


def test_databases_are_chosen_per_request(server: EmbeddedServer) -> None:
    server.ask("create database if not exists `odd ``name`")
    assert server.ask("select currentDatabase()", database="odd `name").text == "odd `name\n"
    by_header = server.ask("select currentDatabase()", headers={"X-ClickHouse-Database": "system"})
    assert by_header.text == "system\n"
    assert server.ask("select currentDatabase()").text == "default\n"
    server.ask("drop database `odd ``name`")
    assert server.ask("select 1", database="odd `name").code == 81


def test_sessions_keep_temporary_tables_settings_and_database(server: EmbeddedServer) -> None:
    one, two = {"session_id": "one"}, {"session_id": "two"}
    server.ask("create temporary table t (a UInt8)", **one)
    server.ask("insert into t values (1), (2)", **one)
    server.ask("set max_threads = 3", **one)
    server.ask("use system", **one)
    sql = "select getSetting('max_threads'), currentDatabase()"
    assert server.ask("select sum(a) from t", **one).text == "3\n"
    assert server.ask(sql, **one).text == "3\tsystem\n"
    assert server.ask(sql, **one, max_threads=9, database="default").text == "9\tdefault\n"
    assert server.ask(sql, **one).text == "3\tsystem\n"
    assert server.ask("select * from t", **two).code == 60
    assert server.ask("select currentDatabase()", **two).text == "default\n"


def test_sessions_end(server: EmbeddedServer) -> None:
    short = {"session_id": "short", "session_timeout": 1}
    server.ask("create temporary table t (a UInt8)", **short)
    assert server.ask("select count() from t", **short, session_check=1).text == "0\n"
    time.sleep(2.2)  # asking meanwhile would keep it alive
    assert server.ask("select 1", session_id="short", session_check=1).code == 372
    server.ask("create temporary table t (a UInt8)", session_id="closed", close_session=1)
    assert server.ask("select 1", session_id="closed", session_check=1).code == 372


def test_a_session_serves_one_request_at_a_time(server: EmbeddedServer) -> None:
    slow = threading.Thread(
        target=server.ask, args=("select sleep(1)",), kwargs={"session_id": "x"}
    )
    slow.start()
    time.sleep(0.3)
    assert server.ask("select 1", session_id="x").code == 373
    slow.join()
    assert server.ask("select 1", session_id="x").text == "1\n"


@pytest.mark.parametrize(
    ("type_name", "value", "expected"),
    [
        ("UInt64", "18446744073709551615", "18446744073709551615"),
        ("Int8", "-1", "-1"),
        ("Float64", "1.5", "1.5"),
        ("String", 'it\'s \\\\ a "test"', 'it\\\'s \\\\ a "test"'),
        ("String", "tab\\tand\\nline", "tab\\tand\\nline"),
        ("String", "Привет, 世界", "Привет, 世界"),
        ("String", "", ""),
        ("Nullable(String)", "\\N", "\\N"),
        ("Date", "2026-01-02", "2026-01-02"),
        ("DateTime64(3, 'UTC')", "2026-01-02 03:04:05.678", "2026-01-02 03:04:05.678"),
        ("Array(UInt32)", "[1,2,3]", "[1,2,3]"),
        ("Array(String)", "['a','it\\'s']", "['a','it\\'s']"),
        ("Array(Array(Nullable(Int8)))", "[[1,NULL],[]]", "[[1,NULL],[]]"),
        ("Map(String, UInt8)", "{'a':1}", "{'a':1}"),
        ("Tuple(UInt8, String)", "(1,'x')", "(1,'x')"),
        ("UUID", "00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000001"),
        ("Bool", "true", "true"),
    ],
)
def test_parameters_of_every_kind(
    server: EmbeddedServer, type_name: str, value: str, expected: str
) -> None:
    answer = server.ask(f"select {{x:{type_name}}}", param_x=value)
    assert answer.text == expected + "\n"


def test_parameters_name_tables_and_fill_inserts(server: EmbeddedServer, table: str) -> None:
    insert = "insert into {t:Identifier} values ({id:UInt64}, {name:String})"
    filled = server.ask(insert, param_t=table, param_id=7, param_name="it's")
    assert filled.status == 200, filled.text
    got = server.ask(
        "select * from {t:Identifier} where id = {id:UInt64}", param_t=table, param_id=7
    )
    assert got.text == "7\tit\\'s\n"
    assert server.ask("select {x:UInt8}", param_x="many").status == 400
    assert server.ask("select {x:UInt8}").status == 400


def test_a_running_query_can_be_killed_by_its_id(server: EmbeddedServer) -> None:
    answers = []
    sql = "select count() from numbers(1000000000000) where cityHash64(number) = 1"
    slow = threading.Thread(target=lambda: answers.append(server.ask(sql, query_id="slow one")))
    slow.start()
    time.sleep(0.3)
    assert server.ask("select 1", query_id="slow one").code == 216
    started = time.monotonic()
    assert "slow" not in server.ask("kill query where query_id = 'another'").text
    assert server.ask("kill query where query_id = 'slow one' sync").status == 200
    slow.join()
    assert time.monotonic() - started < 3
    assert answers[0].code == 394
