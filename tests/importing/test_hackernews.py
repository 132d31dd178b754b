"""Hacker News stories: posts with their authors, points and comment counts."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from api.importing.hackernews import import_hackernews

OFFSET = 3_000_000_000
HEADER = '"author_id","id","time","score","descendants","title"'


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "stories.csv"

    def write(*lines: str):
        path.write_text("\n".join([HEADER, *lines, ""]))
        return path

    return write


def test_a_story_becomes_a_post(import_settings, file, rows):
    report = import_hackernews(
        import_settings, file('360988,25106966,1605490418,8,2,"California, Love It ""and"" Leave"')
    )
    assert {(count.entity, count.inserted) for count in report.counts} == {
        ("authors", 1),
        ("posts", 1),
        ("post_engagement", 1),
    }
    assert rows("select id, author_id, body, created_at from app.posts") == [
        (
            OFFSET + 25106966,
            OFFSET + 360988,
            'California, Love It "and" Leave',
            datetime(2020, 11, 16, 1, 33, 38, tzinfo=UTC),
        )
    ]
    assert rows("select post_id, likes, comments, exposures from app.post_engagement") == [
        (OFFSET + 25106966, 8, 2, 0)
    ]


@pytest.mark.parametrize(
    ("field", "body"),
    [
        ('"«Problematic» § 教室 📈"', "«Problematic» § 教室 📈"),
        ('"""quoted"" at the start"', '"quoted" at the start'),
        ('"ends with ""quotes"""', 'ends with "quotes"'),
        ('"a\tb \\n \\. \\N c"', "a\tb \\n \\. \\N c"),
        ("bare words", "bare words"),
        ("<script>; drop table app.users; --", "<script>; drop table app.users; --"),
        ('" spaces "', " spaces "),
    ],
)
def test_titles_arrive_as_they_are(import_settings, file, rows, field, body):
    import_hackernews(import_settings, file(f"1,2,1605490418,8,2,{field}"))
    assert rows("select body from app.posts") == [(body,)]


def test_no_comment_count_is_none(import_settings, file, rows):
    import_hackernews(import_settings, file('1,2,1605490418,8,,"A job"'))
    assert rows("select comments from app.post_engagement") == [(0,)]


@pytest.mark.parametrize(
    ("bad", "column", "reason"),
    [
        ('1,2,1605490418,8,2,"open', "", "has a quote that does not match"),
        ('1,2,1605490418,8,2,a "b" c', "", "has a quote that does not match"),
        ("1,2,1605490418,8,2,a,b", "", "has 7 fields, not 6"),
        ("1,2,1605490418", "", "has 3 fields, not 6"),
        ('1,2,1605490418,8,2,""', "title", "is empty"),
        ("1,2,1605490418,-8,2,a", "score", "'-8' is not a whole number of 0 or more"),
        ("1,2,99999999999,8,2,a", "time", "is not between the year 2000 and tomorrow"),
        (",2,1605490418,8,2,a", "author_id", "is empty"),
        ("1,1234567890,1605490418,8,2,a", "id", "is too large"),
    ],
)
def test_a_malformed_line_is_named(import_settings, file, rows, bad, column, reason):
    report = import_hackernews(
        import_settings, file("1,10,1605490418,8,2,first", bad, "1,11,1605490419,8,2,last")
    )
    assert [(m.line, m.column) for m in report.malformed] == [(3, column)]
    assert reason in report.malformed[0].reason
    assert rows("select body from app.posts order by id") == [("first",), ("last",)]


def test_imported_twice_is_imported_once(import_settings, file, rows, content):
    path = file("1,10,1605490418,8,2,first", "2,11,1605490419,8,2,last", "2,11,1605490419,8,2,last")
    first = import_hackernews(import_settings, path, shift_to_now=True)
    was = content()
    assert (first.of("posts").read, first.of("posts").duplicates) == (3, 1)

    assert import_hackernews(import_settings, path, shift_to_now=True).inserted == 0
    assert content() == was
