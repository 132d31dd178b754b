"""Trending TikTok videos: titles, hashtags, sounds, and the counters they came with."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from api.importing.errors import ImportRefusedError
from api.importing.tiktok import import_tiktok

VIDEO = {
    "video_id": "6907228749016714497",
    "creator_id": 123266174427956,
    "title": 'Confidence "went" 📈, keşfet \\ 教室',
    "created_at": 1608214517,
    "duration_s": 15,
    "sound_id": "6790057285814061057",
    "sound_name": "Element",
    "sound_original": False,
    "hashtags": ["tiktok教室", "#fyp", ""],
    "likes": 3710,
    "shares": 50,
    "plays": 44800,
    "comments": 68,
}


def line(**columns: object) -> str:
    assert columns.keys() <= VIDEO.keys()
    return json.dumps({**VIDEO, **columns}, ensure_ascii=False)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "videos.jsonl"

    def write(*lines: str):
        path.write_text("\n".join([*lines, ""]))
        return path

    return write


def test_a_video_arrives_whole(import_settings, file, rows):
    report = import_tiktok(import_settings, file(line()))

    assert report.malformed == ()
    assert {(count.entity, count.inserted) for count in report.counts} == {
        ("creators", 1),
        ("sounds", 1),
        ("videos", 1),
        ("video_engagement", 1),
    }
    published = datetime(2020, 12, 17, 14, 15, 17, tzinfo=UTC)
    assert rows(
        "select id, creator_id, sound_id, category, title, hashtags, duration_ms, status,"
        " published_at from app.videos"
    ) == [
        (
            6907228749016714497,
            123266174427956,
            6790057285814061057,
            None,
            VIDEO["title"],
            ["tiktok教室", "fyp"],
            15_000,
            "published",
            published,
        )
    ]
    assert rows("select id, name, is_original from app.sounds") == [
        (6790057285814061057, "Element", False)
    ]
    assert rows("select views, likes, shares, comments, completions from app.video_engagement") == [
        (44_800, 3_710, 50, 68, 0)
    ]


def test_without_sound_title_or_hashtags(import_settings, file, rows):
    bare = {k: v for k, v in VIDEO.items() if k not in ("sound_id", "title", "hashtags")}
    report = import_tiktok(
        import_settings, file(json.dumps(bare), line(video_id="2", sound_id="0", title=None))
    )
    assert report.malformed == ()
    assert rows("select sound_id, title, hashtags from app.videos order by id desc") == [
        (None, "", []),
        (None, "", ["tiktok教室", "fyp"]),
    ]
    assert rows("select 1 from app.sounds") == []


def test_imported_twice_keeps_what_happened_since(import_settings, file, rows):
    path = file(line(), line(), line(video_id="2", title="two"))
    first = import_tiktok(import_settings, path)
    assert (first.of("videos").read, first.of("videos").inserted) == (3, 2)

    rows("update app.video_engagement set likes = likes + 1 returning 1")
    rows("update app.videos set title = 'edited' where id = 2 returning 1")
    second = import_tiktok(import_settings, path)
    assert second.inserted == 0
    assert rows("select likes from app.video_engagement") == [(3_711,), (3_711,)]
    assert rows("select title from app.videos where id = 2") == [("edited",)]


def test_shift_to_now(import_settings, file, rows):
    import_tiktok(
        import_settings,
        file(line(), line(video_id="2", created_at=1608214517 - 60)),
        shift_to_now=True,
    )
    assert rows(
        "select max(published_at) between now() - interval '60 s' and now(),"
        " max(published_at) - min(published_at) = interval '60 s' from app.videos"
    ) == [(True, True)]


@pytest.mark.parametrize(
    ("bad", "column", "reason"),
    [
        ("{", "", "is not JSON"),
        ("[1]", "", "is not a JSON object"),
        ('{"title": "\\u0000"}', "", "is not JSON"),
        ("{}", "video_id", "is empty"),
        (line(video_id="9999999999999999999"), "video_id", "is too large"),
        (line(video_id="a"), "video_id", "'a' is not a whole number of 0 or more"),
        (line(creator_id=-5), "creator_id", "'-5' is not a whole number of 0 or more"),
        (line(created_at="yesterday"), "created_at", "'yesterday' is not an epoch time"),
        (line(duration_s=1.5), "duration_s", "'1.5' is not a whole number of 0 or more"),
        (line(hashtags="fyp"), "hashtags", "'fyp' is not a list of texts"),
        (line(hashtags=[1]), "hashtags", "'[1]' is not a list of texts"),
        (line(sound_original="maybe"), "sound_original", "'maybe' is neither true nor false"),
        (line(plays=10**16), "plays", "is too large"),
        (line(likes=None), "likes", "is empty"),
    ],
)
def test_a_malformed_line_is_named(import_settings, file, rows, bad, column, reason):
    report = import_tiktok(import_settings, file(line(), bad, line(video_id="2")))

    assert [(m.line, m.column) for m in report.malformed] == [(2, column)]
    assert reason in report.malformed[0].reason
    assert len(rows("select 1 from app.videos")) == 2


def test_no_file(import_settings, tmp_path):
    with pytest.raises(ImportRefusedError, match="no file"):
        import_tiktok(import_settings, tmp_path / "absent.jsonl")
