"""The protocol itself, as curl sees it."""

from __future__ import annotations

import gzip
import json
import socket
import zlib

import lz4.frame
import pytest
import zstandard

from clickhouse.embedded import statements
from clickhouse.embedded.errors import SYNTAX_ERROR

from .conftest import EmbeddedServer


def test_ping_root_and_replicas_status_say_ok(server: EmbeddedServer) -> None:
    for path in ("/ping", "/", "/replicas_status"):
        answer = server.ask(method="GET", path=path)
        assert (answer.status, answer.text) == (200, "Ok.\n")
    assert server.ask(method="GET", path="/nowhere").status == 404


def test_a_query_comes_in_the_url_the_body_or_both(server: EmbeddedServer) -> None:
    assert server.ask(method="GET", query="select 1").text == "1\n"
    assert server.ask("select 2").text == "2\n"
    assert server.ask("3", query="select 1 +").text == "4\n"


def test_the_answer_describes_itself(server: EmbeddedServer) -> None:
    answer = server.ask("select number from numbers(10) format JSON", query_id="my-own-id")
    headers = answer.headers
    assert headers["x-clickhouse-query-id"] == "my-own-id"
    assert headers["x-clickhouse-format"] == "JSON"
    assert headers["content-type"] == "application/json; charset=UTF-8"
    assert headers["x-clickhouse-timezone"]
    assert headers["x-clickhouse-server-display-name"]
    summary = json.loads(headers["x-clickhouse-summary"])
    assert (summary["read_rows"], summary["result_rows"]) == ("10", "10")
    assert int(summary["elapsed_ns"]) > 0
    assert [row["number"] for row in answer_rows(answer.body)] == [str(n) for n in range(10)]


def answer_rows(body: bytes) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = json.loads(body)["data"]
    return [{name: str(value) for name, value in row.items()} for row in rows]


def test_formats_come_from_the_statement_then_parameter_then_header(
    server: EmbeddedServer,
) -> None:
    sql = "select 1 as a"
    assert server.ask(sql).text == "1\n"
    assert server.ask(sql, default_format="CSVWithNames").text == '"a"\n1\n'
    assert server.ask(sql, headers={"X-ClickHouse-Format": "JSONEachRow"}).text == '{"a":1}\n'
    assert server.ask(f"{sql} format CSV", default_format="JSONEachRow").text == "1\n"


@pytest.mark.parametrize(
    ("sql", "status", "code", "name"),
    [
        ("select * from not_there", 404, 60, "UNKNOWN_TABLE"),
        ("select not_there", 404, 47, "UNKNOWN_IDENTIFIER"),
        ("select * from not_there.t", 404, 81, "UNKNOWN_DATABASE"),
        ("select not_a_function(1)", 404, 46, "UNKNOWN_FUNCTION"),
        ("selec 1", 400, 62, "SYNTAX_ERROR"),
        ("selec", 400, 62, "SYNTAX_ERROR"),
        ("", 400, 62, "SYNTAX_ERROR"),
        ("select 1; select 2", 400, 62, "SYNTAX_ERROR"),
        ("select toUInt8('x')", 400, 6, "CANNOT_PARSE_TEXT"),
        ("select throwIf(1)", 500, 395, "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO"),
        ("select 1 format Nonsense", 404, 73, "UNKNOWN_FORMAT"),
    ],
)
def test_errors_carry_status_code_and_text(
    server: EmbeddedServer, sql: str, status: int, code: int, name: str
) -> None:
    answer = server.ask(sql, database="default")
    assert (answer.status, answer.code) == (status, code)
    assert answer.text.startswith(f"Code: {code}. DB::Exception: ")
    assert f"({name})" in answer.text
    assert "(version 26." in answer.text and answer.text.endswith(")\n")


def test_a_bad_parameter_is_an_error_too(server: EmbeddedServer) -> None:
    assert server.ask("select 1", not_a_setting="1").code == 115
    assert server.ask("select 1", max_threads="many").status >= 400
    assert server.ask("select 1", database="not_there").code == 81
    assert server.ask("select 1", compress="1").code == 48
    assert server.ask("select 1", session_id="s", session_timeout="99999").code == 374
    # None of them leaves a mark on the connection the next request gets.
    assert server.ask("select currentDatabase()").text == "default\n"


def test_a_get_changes_nothing(server: EmbeddedServer, table: str) -> None:
    for sql in (f"insert into {table} values (1, 'a')", f"drop table {table}"):
        answer = server.ask(method="GET", query=sql)
        assert (answer.code, "readonly" in answer.text) == (164, True)
    assert server.ask(f"insert into {table} values (1, 'a')", readonly=1).code == 164
    assert server.ask(f"select count() from {table}").text == "0\n"


def test_head_has_headers_only(server: EmbeddedServer) -> None:
    answer = server.ask(method="HEAD", query="select 1")
    assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"", "2")


ENCODERS = {
    "gzip": lambda data: gzip.compress(data[:9]) + gzip.compress(data[9:]),
    "deflate": zlib.compress,
    "zstd": lambda data: zstandard.compress(data[:9]) + zstandard.compress(data[9:]),
    "lz4": lambda data: lz4.frame.compress(data[:9]) + lz4.frame.compress(data[9:]),
}
DECODERS = {
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
    "zstd": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
    "lz4": lz4.frame.decompress,
}


@pytest.mark.parametrize("encoding", ENCODERS)
def test_compressed_bodies_of_several_frames_arrive_whole(
    server: EmbeddedServer, table: str, encoding: str
) -> None:
    rows = "".join(f"{n}\tname {n}\n" for n in range(100_000))
    body = ENCODERS[encoding](f"insert into {table} format TSV\n{rows}".encode())
    answer = server.ask(body, headers={"Content-Encoding": encoding})
    assert answer.status == 200, answer.text
    assert json.loads(answer.headers["x-clickhouse-summary"])["written_rows"] == "100000"
    assert server.ask(f"select count(), sum(id) from {table}").text == "100000\t4999950000\n"


@pytest.mark.parametrize("encoding", ENCODERS)
def test_a_damaged_or_cut_body_inserts_nothing(
    server: EmbeddedServer, table: str, encoding: str
) -> None:
    rows = "".join(f"{n}\tname {n}\n" for n in range(10_000))
    body = ENCODERS[encoding](f"insert into {table} format TSV\n{rows}".encode())
    cut = server.ask(body[:-20], headers={"Content-Encoding": encoding})
    assert cut.status >= 400
    wrong = server.ask(b"not compressed at all", headers={"Content-Encoding": encoding})
    assert wrong.code == 271
    assert server.ask("select 1", headers={"Content-Encoding": "snail"}).code == 48
    assert server.ask(f"select count() from {table}").text == "0\n"


@pytest.mark.parametrize("encoding", DECODERS)
def test_results_are_compressed_when_asked(server: EmbeddedServer, encoding: str) -> None:
    sql, header = "select number from numbers(50000)", {"Accept-Encoding": encoding}
    expected = "".join(f"{n}\n" for n in range(50_000)).encode()
    answer = server.ask(sql, headers=header, enable_http_compression=1)
    assert answer.headers["content-encoding"] == encoding
    assert len(answer.body) < len(expected)
    assert DECODERS[encoding](answer.body) == expected
    plain = server.ask(sql, headers=header)
    assert ("content-encoding" in plain.headers, plain.body) == (False, expected)


def test_large_results_are_chunked_and_compressed_in_a_stream(server: EmbeddedServer) -> None:
    sql = "select number from numbers(1000000)"
    expected = "".join(f"{n}\n" for n in range(1_000_000)).encode()
    plain = server.ask(sql)
    assert (plain.headers["transfer-encoding"], plain.body) == ("chunked", expected)
    packed = server.ask(sql, headers={"Accept-Encoding": "zstd"}, enable_http_compression=1)
    assert DECODERS["zstd"](packed.body) == expected
    waited = server.ask(sql, wait_end_of_query=1)
    assert int(waited.headers["content-length"]) == len(expected)
    assert json.loads(waited.headers["x-clickhouse-summary"])["result_rows"] == "1000000"


def test_an_error_after_the_start_cannot_pass_for_a_result(server: EmbeddedServer) -> None:
    sql = "select throwIf(number = 2500000) from numbers(5000000)"
    with server.raw_socket() as sock:
        sock.sendall(
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(sql), sql.encode())
        )
        received = b""
        while data := sock.recv(1 << 16):
            received += data
    head, _, body = received.partition(b"\r\n\r\n")
    tag = head.split(b"X-ClickHouse-Exception-Tag: ")[1].split(b"\r\n")[0]
    assert b"__exception__\r\n" + tag in body
    assert b"Code: 395" in body
    assert not body.endswith(b"0\r\n\r\n")
    # With wait_end_of_query the status can still tell.
    assert server.ask(sql, wait_end_of_query=1).code == 395


def test_documents_are_one_document_however_large(server: EmbeddedServer) -> None:
    sql = "select number from numbers(300000)"
    assert len(json.loads(server.ask(f"{sql} format JSON").body)["data"]) == 300_000
    named = server.ask(f"{sql} format TSVWithNames").text.splitlines()
    assert (named.count("number"), len(named)) == (1, 300_001)


def test_an_empty_native_result_names_its_columns(server: EmbeddedServer) -> None:
    columns = b"\x02\x00\x01a\x05UInt8\x01b\x06String"
    for sql in (
        "select 1 as a, 'x' as b where 0",
        "select 1 as a, 'x' as b where 0 format Native -- why not",
        "with 1 as one select one as a, {x:String} as b limit 0;",
        "select 1 as a, 'x' as b where 0 format native settings max_threads = 1 ;",
    ):
        answer = server.ask(sql, default_format="Native", param_x="x")
        assert (answer.body, answer.headers["x-clickhouse-format"]) == (columns, "Native")
    shown = server.ask("show tables from default like 'no such'", default_format="Native")
    assert shown.body == b"\x01\x00\x04name\x06String"
    assert server.ask("create table if not exists default.e (a Int8) engine = Memory").body == b""


def test_an_insert_in_the_url_with_rows_in_the_body(server: EmbeddedServer, table: str) -> None:
    assert server.ask("1\ta\n2\tb\n", query=f"insert into {table} format TSV").status == 200
    assert server.ask("(3, 'c'), (4, 'd')", query=f"insert into {table} values").status == 200
    into_columns = f"insert into {table} (name) settings max_insert_threads = 1 format JSONEachRow"
    assert server.ask('{"name": "e"}', query=into_columns).status == 200
    rows = server.ask(f"select groupArray(name) from (select * from {table} order by name)").text
    assert rows == "['a','b','c','d','e']\n"


@pytest.mark.parametrize(
    "statement",
    [
        "insert into {t} values (1, 'format CSV'), (2, 'select')",
        "insert into {t} (id, name) /* format CSV */ values (1, 'a'), (2, 'b')",
        "insert into {t} -- values\n format TSV\n1\ta\n2\tb",
        'insert into {t}\nformat JSONEachRow {{"id":1}} {{"id":2}}',
        "insert into {t} select number + 1, 'format' from numbers(2)",
        "insert into {t} select number + 1, 'format' from numbers(2) format Null",
        "insert into {t} with 2 as n select number + 1, 'x' from numbers(n)",
        "insert into function remote('127.0.0.1:1', 'x', 'y') select 1 where 0",
        "insert into table {t} (`id`, \"name\") values (1, concat('a', 'b')), (1 + 1, '')",
    ],
)
def test_inserts_are_split_where_the_grammar_says(
    server: EmbeddedServer, table: str, statement: str
) -> None:
    answer = server.ask(statement.format(t=table))
    if "remote" in statement:
        assert answer.code  # nobody listens there; it must not be taken for an insert with rows
        return
    assert answer.status == 200, answer.text
    assert server.ask(f"select groupArray(id) from (select * from {table} order by id)").text == (
        "[1,2]\n"
    )


def test_a_table_called_format_is_no_format(server: EmbeddedServer) -> None:
    server.ask("create table if not exists format (values UInt8) engine = Memory")
    assert server.ask("insert into format (values) values (7)").status == 200
    assert server.ask("insert into format format CSV\n8\n").status == 200
    assert server.ask("select sum(values) from format").text == "15\n"
    server.ask("drop table format")


def test_a_bad_row_refuses_the_insert(server: EmbeddedServer, table: str) -> None:
    answer = server.ask(f"insert into {table} format CSV\n1,a\nfoo,b\n")
    assert (answer.status, answer.code) == (400, 27)
    assert server.ask("insert into not_there format CSV\n1\n").code == 60
    assert (
        server.ask(
            f"insert into {table} select id, name from input('id UInt64, name String')"
            " format CSV\n1,a\n"
        ).code
        == 48
    )
    assert server.ask(f"select count() from {table}").text == "0\n"


def test_the_answer_to_a_refused_upload_is_readable(server: EmbeddedServer, table: str) -> None:
    """The error comes at the first row, the client sends 40 MB all the same."""
    answer = server.ask(b"not a row\n" * 4_000_000, query=f"insert into {table} format CSV")
    assert answer.status == 400


def test_curl_waits_for_continue(server: EmbeddedServer) -> None:
    with server.raw_socket() as sock:
        sock.sendall(
            b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 8\r\n\r\n"
        )
        assert sock.recv(1_000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b"select 5")
        assert sock.recv(10_000).endswith(b"\r\n\r\n5\n")


def test_requests_may_be_split_and_pipelined(server: EmbeddedServer) -> None:
    one = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nselect 41"
    two = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    two += b"3\r\nsel\r\n6\r\nect 42\r\n0\r\n\r\n"
    with server.raw_socket() as sock:
        for byte in (one + two)[:60], (one + two)[60:]:
            sock.sendall(byte)
        received = b""
        while received.count(b"HTTP/1.1 200") < 2 or not received.endswith(b"42\n"):
            received += sock.recv(10_000)
    assert received.index(b"41\n") < received.index(b"42\n")


def test_what_is_not_http_is_refused(server: EmbeddedServer) -> None:
    with server.raw_socket() as sock:
        sock.sendall(b"\x16\x03\x01 this is TLS\r\n\r\n")
        assert sock.recv(1_000).startswith(b"HTTP/1.1 400")
    with server.raw_socket() as sock:
        sock.sendall(b"DELETE / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert sock.recv(1_000).startswith(b"HTTP/1.1 501")
    assert server.ask("select 1").text == "1\n"


def test_a_closed_half_is_answered(server: EmbeddedServer) -> None:
    """Not cancelled by `nc -N` or the like: only clients that are gone are."""
    with server.raw_socket() as sock:
        sock.sendall(
            b"GET /?query=select+sleep(0.5)&cancel_http_readonly_queries_on_client_close=0 "
            b"HTTP/1.1\r\nHost: x\r\n\r\n"
        )
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(10_000).endswith(b"0\n")


def test_a_column_called_format_is_no_format_either(server: EmbeddedServer) -> None:
    ordered = "select number as format from numbers(2) order by format desc"
    assert server.ask(ordered).text == "1\n0\n"
    assert server.ask(f"{ordered} limit 0", default_format="Native").body == (
        b"\x01\x00\x06format\x06UInt64"
    )


def test_insert_settings_reach_the_insert(server: EmbeddedServer, table: str) -> None:
    server.ask(f"alter table {table} modify setting non_replicated_deduplication_window = 100")
    for token in ("one", "one", "two"):
        in_url = server.ask(
            f"insert into {table} format CSV\n1,a\n", insert_deduplication_token=token
        )
        assert in_url.status == 200
        settings = f"settings insert_deduplication_token = '3{token}'"
        assert server.ask(f"insert into {table} {settings} format CSV\n1,a\n").status == 200
    assert server.ask(f"select count() from {table}").text == "4\n"
    row = f'insert into {table} format JSONEachRow {{"id": 1, "more": 2}}'
    assert server.ask(row, input_format_skip_unknown_fields=0).code == 117
    assert server.ask(row, input_format_skip_unknown_fields=1).status == 200


def test_a_long_statement_that_comes_again_is_what_it_was(
    server: EmbeddedServer, table: str
) -> None:
    """It is taken apart once; parameters, the format asked for and its effects are of each time."""
    padding = f"/* {'x' * 2_000} */"
    count = f"select {{n:UInt8}} as n, count() as rows {padding} from {table}"
    for n in (1, 2):
        server.ask(f"insert into {table} values ({n}, 'a')")
        assert server.ask(count, param_n=n).text == f"{n}\t{n}\n"
        assert server.ask(count, param_n=7, default_format="CSV").text == f"7,{n}\n"
        assert server.ask(f"{count} format TSVWithNames", param_n=7).text == f"n\trows\n7\t{n}\n"
    insert = f"insert into {table} select 3, 'b' {padding}"
    for _ in range(2):
        assert server.ask(insert).status == 200
        assert server.ask(f"{count}; {count}", param_n=1).code == SYNTAX_ERROR
    assert server.ask(count, param_n=0).text == "0\t4\n"


def test_only_so_many_statements_are_remembered() -> None:
    memory = statements.Memory()
    known = statements.Remembered("READ_ONLY", 1, b"", None)
    texts = [b"select %d" % number + b" " * 2_000 for number in range(70)]
    for text in texts:
        memory.keep(text, known)
        assert memory.find(texts[0]) is known, "what is asked for stays"
    assert memory.find(texts[1]) is None
    assert memory.find(texts[69]) is known
    for text in (b"select 1", b"select 1" + b" " * 70_000):
        memory.keep(text, known)
        assert memory.find(text) is None, "not worth a place, or too large for one"
