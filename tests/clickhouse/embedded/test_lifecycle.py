"""Starting, stopping, crashing and being overloaded."""

from __future__ import annotations

import base64
import http.client
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psycopg
import pytest

from .conftest import ROOT, EmbeddedServer, MakeServer, wait_for

SLOW = "select count() from numbers(1000000000000) where cityHash64(number) = 1"


def running(server: EmbeddedServer) -> int:
    """How many statements the engine runs besides this one."""
    return int(server.ask("select count() - 1 from system.processes").text)


def test_every_acknowledged_row_survives_kill_9(make_server: MakeServer) -> None:
    """Two writers with plain, compressed and select inserts; three crashes; nothing is lost."""
    server = make_server()
    server.ask(
        "create table t (writer UInt8, n UInt64, pad String)"
        " engine = MergeTree order by (writer, n)"
    )
    acknowledged: dict[tuple[int, int], int] = {}
    for crash in range(3):
        threads = [
            threading.Thread(target=write_until_gone, args=(server, writer, crash, acknowledged))
            for writer in (1, 2)
        ]
        for thread in threads:
            thread.start()
        time.sleep(1.2)
        server.kill()
        for thread in threads:
            thread.join()
        server.start()
        found = {
            (int(writer), int(batch)): int(rows)
            for writer, batch, rows in (
                line.split("\t")
                for line in server.ask(
                    "select writer, intDiv(n, 1000) as batch, count() from t group by all"
                ).text.splitlines()
            )
        }
        lost = {key: rows for key, rows in acknowledged.items() if found.get(key) != rows}
        assert not lost
    assert len(acknowledged) > 30
    assert server.stop() == (0, "")


def write_until_gone(
    server: EmbeddedServer, writer: int, crash: int, acknowledged: dict[tuple[int, int], int]
) -> None:
    for batch in range(crash * 10_000, crash * 10_000 + 10_000):
        first = batch * 1_000
        if batch % 3 == 0:
            rows = 1_000
            body = f"insert into t select {writer}, {first} + number, 'x' from numbers({rows})"
        elif batch % 3 == 1:
            rows = 3
            values = ", ".join(f"({writer}, {first + at}, 'x')" for at in range(rows))
            body = f"insert into t values {values}"
        else:
            rows = 500
            body = "insert into t format TSV\n"
            body += "".join(f"{writer}\t{first + at}\tpad\n" for at in range(rows))
        try:
            # Asking not to wait must not weaken the promise.
            answer = server.ask(body, async_insert=1, wait_for_async_insert=0)
        except (OSError, http.client.HTTPException):
            return
        assert answer.status == 200, answer.text
        acknowledged[writer, batch] = rows


def test_a_clean_stop_finishes_what_runs_and_flushes(make_server: MakeServer) -> None:
    server = make_server("--grace-seconds", "5")
    server.ask("create table t (n UInt64) engine = MergeTree order by n")
    idle = server.connect()
    idle.request("GET", "/ping")
    idle.getresponse().read()
    with ThreadPoolExecutor(2) as threads:
        slow = threads.submit(server.ask, "select sleep(1.5), 'done'")
        insert = threads.submit(
            server.ask, "insert into t select number from numbers(4) where not sleepEachRow(0.3)"
        )
        time.sleep(0.5)
        started = time.monotonic()
        assert server.stop() == (0, "")
        assert 0.5 < time.monotonic() - started < 5
        assert slow.result().text == "0\tdone\n"
        assert insert.result().status == 200
    server.start()
    assert server.ask("select count() from t").text == "4\n"


def test_the_grace_has_an_end(make_server: MakeServer) -> None:
    server = make_server("--grace-seconds", "0.5")
    with ThreadPoolExecutor(1) as threads:
        slow = threads.submit(server.ask, SLOW)
        wait_for(lambda: running(server) == 1)
        started = time.monotonic()
        assert server.stop(signal.SIGINT) == (0, "")
        assert time.monotonic() - started < 5
        assert slow.result().code == 394


def test_a_client_that_does_not_read_cannot_hold_up_the_end(make_server: MakeServer) -> None:
    server = make_server("--grace-seconds", "0.2")
    sql = "select number, toString(number) from numbers(1000000000)"
    with server.raw_socket() as sock:
        sock.sendall(
            f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {len(sql)}\r\n\r\n{sql}".encode()
        )
        wait_for(lambda: running(server) == 1)
        code, _ = server.stop()  # within 30 seconds, or this raises
        assert code == 0


def test_a_second_process_is_told_who_owns_the_directory(make_server: MakeServer) -> None:
    server = make_server()
    assert server.process is not None
    second = EmbeddedServer(server.data_dir).spawn()
    _, errors = second.communicate(timeout=20)
    assert second.returncode == 1
    assert f"is in use by process {server.process.pid};" in errors
    assert errors.count("\n") == 1
    assert server.ask("select 1").text == "1\n"
    server.kill()
    server.start()  # a crash leaves no lock behind


def test_a_taken_port_is_a_sentence(server: EmbeddedServer, tmp_path: Path) -> None:
    second = EmbeddedServer(tmp_path / "other")
    second.port = server.port
    process = second.spawn()
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 1
    assert f"cannot listen on 127.0.0.1:{server.port}" in errors


def test_it_listens_to_other_machines_only_with_a_password(tmp_path: Path) -> None:
    run = subprocess.run(
        [
            *(sys.executable, "-m", "clickhouse.embedded"),
            *("--data-dir", str(tmp_path / "x"), "--host", "0.0.0.0", "--port", "0"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert run.returncode == 1
    assert "NOVA_EMBEDDED_CLICKHOUSE_PASSWORD" in run.stderr


def test_a_password_is_asked_for_in_every_way(make_server: MakeServer) -> None:
    password = "pass:wörd '\"/@"
    server = make_server(password=password)
    ways: list[tuple[dict[str, str], dict[str, str]]] = [
        (
            {"Authorization": "Basic " + base64.b64encode(f"default:{password}".encode()).decode()},
            {},
        ),
        ({}, {"user": "default", "password": password}),
        ({}, {"password": password}),
    ]
    for headers, parameters in ways:
        assert server.ask("select 1", headers=headers, **parameters).text == "1\n"
    wrong: list[tuple[dict[str, str], dict[str, str]]] = [
        ({}, {}),
        ({"X-ClickHouse-User": "default", "X-ClickHouse-Key": "no"}, {}),
        ({"Authorization": "Basic " + base64.b64encode(b"default:no").decode()}, {}),
        ({"Authorization": "Basic ???"}, {}),
        ({}, {"user": "somebody", "password": password}),
    ]
    for headers, parameters in wrong:
        answer = server.ask("select 1", headers=headers, **parameters)
        assert (answer.status, answer.code) == (403, 516)
        assert password not in answer.text
    assert server.ask(method="GET", path="/ping").status == 200
    with server.client() as client:
        assert client.command("select 1") == 1


def test_a_password_in_headers(make_server: MakeServer) -> None:
    server = make_server(password="plain")
    headers = {"X-ClickHouse-User": "default", "X-ClickHouse-Key": "plain"}
    assert server.ask("select 1", headers=headers).text == "1\n"


def test_too_many_queries_wait_then_are_refused(make_server: MakeServer) -> None:
    server = make_server(*("--max-concurrency", "2", "--max-waiting", "2", "--wait-seconds", "0.5"))
    with ThreadPoolExecutor(6) as threads:
        # Two run for a second, two wait for half of one, one finds the queue full.
        slow = [threads.submit(server.ask, "select sleep(1)") for _ in range(2)]
        time.sleep(0.3)
        waiting = [threads.submit(server.ask, "select 1") for _ in range(2)]
        time.sleep(0.2)
        started = time.monotonic()
        assert server.ask("select 1").code == 202
        assert time.monotonic() - started < 0.3
        assert server.ask(method="GET", path="/ping").status == 200
        assert {future.result().code for future in waiting} == {202}
        assert {future.result().text for future in slow} == {"0\n"}
        # One that waits a little is served.
        short = [threads.submit(server.ask, "select sleep(0.3)") for _ in range(4)]
        assert {future.result().text for future in short} == {"0\n"}


def test_a_query_stops_at_its_time_limit(server: EmbeddedServer) -> None:
    started = time.monotonic()
    answer = server.ask(SLOW, max_execution_time="0.5")
    assert (answer.status, answer.code) == (408, 159)
    assert time.monotonic() - started < 2


@pytest.mark.parametrize("wait", [0, 1])
def test_a_client_that_leaves_frees_its_query(server: EmbeddedServer, wait: int) -> None:
    with server.raw_socket() as sock:
        head = f"POST /?wait_end_of_query={wait} HTTP/1.1\r\nHost: x\r\n"
        sock.sendall(f"{head}Content-Length: {len(SLOW)}\r\n\r\n{SLOW}".encode())
        wait_for(lambda: running(server) == 1)
    wait_for(lambda: running(server) == 0, 3)
    assert server.ask("select 1").text == "1\n"


def test_a_client_that_leaves_in_the_middle_of_a_result(server: EmbeddedServer) -> None:
    sql = "select number, toString(number) from numbers(1000000000)"
    with server.raw_socket() as sock:
        sock.sendall(
            f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {len(sql)}\r\n\r\n{sql}".encode()
        )
        assert len(sock.recv(100_000)) > 0
    wait_for(lambda: running(server) == 0, 5)


def test_a_client_that_leaves_in_the_middle_of_an_insert_leaves_nothing(
    server: EmbeddedServer, table: str
) -> None:
    head = f"insert into {table} format TSV\n1\ta\n".encode()
    with server.raw_socket() as sock:
        sock.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n" + head)
        wait_for(lambda: running(server) == 1)
    wait_for(lambda: running(server) == 0)
    assert server.ask(f"select count() from {table}").text == "0\n"


def test_large_results_and_inserts_need_little_memory(make_server: MakeServer) -> None:
    """600 MB out and 400 MB in; what is held is a few blocks, not the whole."""
    server = make_server()
    server.ask("create table t (s String) engine = Null")
    server.ask("select repeat('x', 99) from numbers(1000000)")
    before = peak = server.resident_bytes()
    connection = server.connect()
    connection.request("POST", "/", body="select repeat('x', 99) from numbers(6000000)")
    response = connection.getresponse()
    received = 0
    while data := response.read(1 << 20):
        received += len(data)
        peak = max(peak, server.resident_bytes())
    assert received == 600_000_000
    connection.close()
    assert peak - before < 200 << 20

    def rows() -> Iterator[bytes]:
        nonlocal peak
        for _ in range(400):
            yield (b"y" * 99 + b"\n") * 10_000
            peak = max(peak, server.resident_bytes())

    connection = server.connect()
    connection.request(
        "POST",
        "/?query=insert+into+t+format+LineAsString"
        "&max_insert_block_size=65536&min_insert_block_size_rows=65536&input_format_parallel_parsing=0",
        body=rows(),
        encode_chunked=True,
        headers={"Transfer-Encoding": "chunked"},
    )
    assert connection.getresponse().status == 200
    assert peak - before < 200 << 20


def test_the_engine_lives_between_requests(make_server: MakeServer) -> None:
    """Merges, TTL, refreshable views and dictionaries go on by themselves and on demand."""
    server = make_server()

    # A refreshable view that replaces its rows needs an Atomic database; `default` is an overlay.
    server.ask("create database d")

    def ask(sql: str) -> str:
        answer = server.ask(sql, database="d")
        assert answer.status == 200, answer.text
        return answer.text.strip()

    ask(
        "create table t (n UInt64, at DateTime) engine = MergeTree order by n"
        " ttl at + interval 1 second settings merge_with_ttl_timeout = 1"
    )
    ask("insert into t values (0, now() - 100)")
    for n in range(1, 31):
        ask(f"insert into t values ({n}, now() + 1000)")
    ask(
        "create materialized view counted refresh every 1 second engine = MergeTree order by c"
        " as select count() as c from t"
    )
    ask(
        "create dictionary d (n UInt64, at DateTime) primary key n"
        " source(clickhouse(table 't')) lifetime(3600) layout(hashed())"
    )
    wait_for(lambda: ask("select count() from t") == "30")
    wait_for(lambda: int(ask("select count() from system.parts where table = 't' and active")) < 7)
    wait_for(lambda: ask("select c from counted") == "30")
    assert ask("select dictHas('d', 30), dictHas('d', 31)") == "1\t0"
    ask("insert into t values (31, now() + 1000)")
    ask("system reload dictionary d")
    assert ask("select dictHas('d', 31)") == "1"
    ask("system refresh view counted")
    ask("system wait view counted")
    assert ask("select c from counted") == "31"
    assert server.stop() == (0, "")
    server.start()
    assert ask("select c from counted") == "31"
    assert ask("select dictHas('d', 31)") == "1"


def test_rows_come_straight_from_postgres(server: EmbeddedServer, postgres_url: str) -> None:
    """The landing worker's way: database to database, nothing through Python."""
    address = urlsplit(postgres_url)
    with psycopg.connect(postgres_url, autocommit=True) as postgres:
        postgres.execute(
            "create table public.numbers as select n from generate_series(1, 1000) as n"
        )
    source = (
        "postgresql({address:String}, {db:String}, 'numbers', {user:String}, {password:String})"
    )
    # Table functions take parameters, so that a password is in no statement's text.
    answer = server.ask(
        f"select count(), sum(n) from {source}",
        param_address=f"{address.hostname}:{address.port}",
        param_db=address.path.lstrip("/"),
        param_user=unquote(address.username or ""),
        param_password=unquote(address.password or "").replace("\\", "\\\\"),
    )
    assert answer.text == "1000\t500500\n"
