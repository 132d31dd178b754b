"""KuaiRand rows in, users, videos and events out."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from api.importing.errors import ImportRefusedError
from api.importing.kuairand import import_kuairand
from api.importing.recount import recount_kuairand

VIEWER, CREATOR, VIDEO, SOUND = 1_000_000_000, 2_000_000_000, 1_000_000_000, 1_000_000_000
NOON = datetime(2022, 5, 2, 12, tzinfo=UTC)


def test_an_exposure_becomes_what_the_viewer_did(import_settings, kuairand, rows):
    line = kuairand.exposure(
        viewer=3,
        play_time_ms=4_000,
        is_like=1,
        is_comment=1,
        is_forward=1,
        is_follow=1,
        is_profile_enter=1,
    )
    report = import_kuairand(import_settings, kuairand.write([line]))

    assert {(c.entity, c.read, c.inserted) for c in report.counts} == {
        ("creators", 1, 1),
        ("sounds", 1, 1),
        ("videos", 1, 1),
        ("viewers", 1, 1),
        ("followed_pairs", 1, 1),
        ("impressions", 1, 1),
        ("plays", 1, 1),
        ("likes", 1, 1),
        ("comments", 1, 1),
        ("shares", 1, 1),
        ("follows", 1, 1),
        ("profile_visits", 1, 1),
    }
    events = rows(
        "select action, user_id, item_type, item_id, author_id, event_time, watch_ms, completion,"
        " device from app.events order by action"
    )
    assert [event[0] for event in events] == [
        "comment",
        "follow_from_item",
        "impression",
        "like",
        "profile_visit",
        "share",
        "view",
    ]
    who_and_what = (VIEWER + 3, "video", VIDEO + 7, CREATOR + 70, NOON)
    assert {event[1:6] for event in events} == {who_and_what}
    assert events[-1][6:] == (4_000, pytest.approx(0.4), "kuairand-log")
    assert rows("select follower_id, followee_id, created_at from app.follows") == [
        (VIEWER + 3, CREATOR + 70, NOON)
    ]
    assert rows("select user_id, item_id from app.likes") == [(VIEWER + 3, VIDEO + 7)]
    assert rows(
        "select views, completions, watch_ms, likes, shares, comments from app.video_engagement"
    ) == [(1, pytest.approx(0.4), 4_000, 1, 1, 1)]


def test_a_video_carries_its_features(import_settings, kuairand, rows):
    videos = [
        kuairand.video(7, 70, tag='"20,43"', video_duration="358016.0"),
        kuairand.video(8, 70, tag="", video_duration="", music_id=""),
        kuairand.video(9, 71, music_id=0),
    ]
    import_kuairand(import_settings, kuairand.write([kuairand.exposure()], videos))

    # The day of upload begins at midnight in UTC+8.
    published = datetime(2022, 4, 9, 16, tzinfo=UTC)
    assert rows(
        "select id, creator_id, sound_id, category, duration_ms, status, published_at"
        " from app.videos order by id"
    ) == [
        (VIDEO + 7, CREATOR + 70, SOUND + 9_155_697_141, "20", 358_016, "published", published),
        (VIDEO + 8, CREATOR + 70, None, None, 0, "published", published),
        (VIDEO + 9, CREATOR + 71, None, "39", 20_000, "published", published),
    ]


@pytest.mark.parametrize(
    ("play_ms", "log_duration_ms", "video_duration", "completion"),
    [
        (5_000, 10_000, "20000.0", 0.5),
        (35_000, 10_000, "20000.0", 1.0),  # loops
        (5_000, 0, "20000.0", 0.25),  # the log does not know the length, the features do
        (5_000, 0, "", None),  # nobody knows
    ],
)
def test_completion_is_the_share_watched(
    import_settings, kuairand, rows, play_ms, log_duration_ms, video_duration, completion
):
    line = kuairand.exposure(play_time_ms=play_ms, duration_ms=log_duration_ms)
    videos = [kuairand.video(video_duration=video_duration)]
    import_kuairand(import_settings, kuairand.write([line], videos))

    assert rows("select watch_ms, completion from app.events where action = 'view'") == [
        (play_ms, completion)
    ]


def test_hidden_videos_and_unplayed_ones(import_settings, kuairand, rows):
    lines = [kuairand.exposure(1, is_hate=1), kuairand.exposure(2)]
    import_kuairand(import_settings, kuairand.write(lines))

    assert rows("select user_id, action from app.events order by 1, 2") == [
        (VIEWER + 1, "impression"),
        (VIEWER + 1, "not_interested"),
        (VIEWER + 2, "impression"),
    ]
    assert rows("select user_id, video_id from app.not_interested") == [(VIEWER + 1, VIDEO + 7)]


def test_repeated_rows_count_once_and_the_first_wins(import_settings, kuairand, rows):
    lines = [
        kuairand.exposure(at=0.1, play_time_ms=1_000),
        kuairand.exposure(at=0.1, play_time_ms=1_000),  # the same row again
        kuairand.exposure(at=0.9, play_time_ms=9_000),  # another row of the same second
        kuairand.exposure(at=1.0, play_time_ms=2_000),  # the next second
    ]
    report = import_kuairand(import_settings, kuairand.write(lines))

    plays = report.of("plays")
    assert (plays.read, plays.inserted, plays.duplicates) == (4, 2, 2)
    assert rows("select watch_ms from app.events where action = 'view' order by event_time") == [
        (1_000,),
        (2_000,),
    ]
    assert rows("select views, watch_ms from app.video_engagement") == [(2, 3_000)]


def test_viewers_creators_and_our_own_users_stay_apart(import_settings, kuairand, rows):
    rows("insert into app.users (id, username) values (5, 'ours') returning id")
    import_kuairand(
        import_settings, kuairand.write([kuairand.exposure(viewer=5)], [kuairand.video(7, 5)])
    )
    assert rows("select id, username from app.users order by id") == [
        (5, "ours"),
        (VIEWER + 5, None),
        (CREATOR + 5, None),
    ]


BAD_LINES = [
    ({"user_id": "x"}, "user_id", "'x' is not a whole number of 0 or more"),
    ({"user_id": ""}, "user_id", "is empty"),
    ({"user_id": 1_000_000_000}, "user_id", "'1000000000' is too large"),
    ({"video_id": -1}, "video_id", "'-1' is not a whole number of 0 or more"),
    ({"video_id": 8}, "video_id", "video 8 is not in the video features"),
    ({"time_ms": "noon"}, "time_ms", "'noon' is not an epoch time"),
    ({"time_ms": 9_999_999_999_999}, "time_ms", "is not between the year 2000 and tomorrow"),
    ({"time_ms": 12}, "time_ms", "is not between the year 2000 and tomorrow"),
    ({"is_like": 2}, "is_like", "'2' is neither 0 nor 1"),
    ({"play_time_ms": "1.5"}, "play_time_ms", "'1.5' is not a whole number of 0 or more"),
    ({"duration_ms": "NaN"}, "duration_ms", "'NaN' is not a whole number of 0 or more"),
    ({"tab": "1,1"}, "", "has 20 fields, not 19"),
    ({"tab": '"1'}, "", "has a quote that does not match"),
    ({"tab": "\x00"}, "", "holds a byte that is not UTF-8 text, at character"),
    ({"user_id": "\x1b[31m1"}, "user_id", "'?[31m1' is not a whole number"),
]


@pytest.mark.parametrize(("columns", "column", "reason"), BAD_LINES)
def test_a_malformed_row_is_named_and_nothing_else_is_lost(
    import_settings, kuairand, rows, columns, column, reason
):
    lines = [kuairand.exposure(1), kuairand.exposure(2, **columns), kuairand.exposure(3)]
    report = import_kuairand(import_settings, kuairand.write(lines))

    assert report.malformed_lines == 1
    (bad,) = report.malformed
    assert (bad.file, bad.line, bad.column) == (kuairand.log.name, 3, column)
    assert reason in bad.reason
    assert str(bad).startswith(f"{kuairand.log.name}:3: ")
    assert rows("select user_id from app.events order by 1") == [(VIEWER + 1,), (VIEWER + 3,)]


def test_bytes_that_are_no_text_cost_one_line(import_settings, kuairand, rows):
    kuairand.write([kuairand.exposure(1), kuairand.exposure(2, tab="?"), kuairand.exposure(3)])
    kuairand.log.write_bytes(kuairand.log.read_bytes().replace(b",?\n", b",\xc3\x28\n"))
    report = import_kuairand(import_settings, kuairand.folder)

    assert [(bad.line, bad.column) for bad in report.malformed] == [(3, "")]
    assert len(rows("select 1 from app.events")) == 2


def test_a_video_that_cannot_be_read_takes_its_exposures_along(import_settings, kuairand, rows):
    videos = [kuairand.video(7), kuairand.video(8, video_duration="long"), kuairand.video(9)]
    lines = [kuairand.exposure(video=number) for number in (7, 8, 9)]
    report = import_kuairand(import_settings, kuairand.write(lines, videos))

    assert {(bad.file, bad.line, bad.column) for bad in report.malformed} == {
        (kuairand.videos.name, 3, "video_duration"),
        (kuairand.log.name, 3, "video_id"),
    }
    assert rows("select item_id from app.events order by 1") == [(VIDEO + 7,), (VIDEO + 9,)]


def test_windows_line_ends_blank_lines_and_a_byte_order_mark(import_settings, kuairand, rows):
    kuairand.write([kuairand.exposure(1), "", kuairand.exposure(2)])
    text = kuairand.log.read_text().replace("\n", "\r\n")
    kuairand.log.write_bytes(b"\xef\xbb\xbf" + text.encode() + b"\r\n")
    report = import_kuairand(import_settings, kuairand.folder)

    assert report.malformed_lines == 0
    assert len(rows("select 1 from app.events")) == 2


def test_a_last_line_without_its_end_is_a_line(import_settings, kuairand, rows):
    kuairand.write([kuairand.exposure(1), kuairand.exposure(2)])
    kuairand.log.write_text(kuairand.log.read_text().rstrip("\n"))
    import_kuairand(import_settings, kuairand.folder)

    assert len(rows("select 1 from app.events")) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace('"is_like",', ""), "missing is_like"),
        (lambda text: text.replace('"user_id","video_id"', '"video_id","user_id"'), "expected"),
        (lambda text: text.replace('"is_like"', '"liked"'), "unknown liked"),
        (lambda text: text.partition("\n")[2], "missing user_id"),
        (lambda _: "", "line 1 is missing"),
    ],
)
def test_a_wrong_header_refuses_the_file(import_settings, kuairand, rows, change, message):
    kuairand.write([kuairand.exposure(1)])
    kuairand.log.write_text(change(kuairand.log.read_text()))

    with pytest.raises(ImportRefusedError, match="does not begin with the expected") as refused:
        import_kuairand(import_settings, kuairand.folder)
    assert message in str(refused.value)
    assert kuairand.log.name in str(refused.value)
    assert rows("select 1 from app.users") == []


def test_a_folder_without_a_log_is_refused(import_settings, kuairand):
    kuairand.write()
    kuairand.log.unlink()
    with pytest.raises(ImportRefusedError, match=r"no log_standard_\*\.csv in "):
        import_kuairand(import_settings, kuairand.folder)


def test_until_holds_later_days_out_and_the_rest_can_follow(
    import_settings, kuairand, rows, content
):
    day = 86_400
    folder = kuairand.write(
        [
            kuairand.exposure(1, at=0),
            kuairand.exposure(2, at=day / 2 - 1),  # the last second of the day
            kuairand.exposure(3, at=day / 2),  # midnight
            kuairand.exposure(4, at=day),
        ]
    )
    report = import_kuairand(import_settings, folder, until=date(2022, 5, 2))

    assert report.held_out_rows == 2
    assert rows("select user_id from app.events order by 1") == [(VIEWER + 1,), (VIEWER + 2,)]
    assert recount_kuairand(folder, until=date(2022, 5, 2)).events == {"impression": 2}

    report = import_kuairand(import_settings, folder)
    assert report.held_out_rows == 0
    assert (report.of("impressions").inserted, report.of("impressions").duplicates) == (2, 2)


def test_shift_moves_the_newest_row_to_now_and_keeps_distances(import_settings, kuairand, rows):
    folder = kuairand.write([kuairand.exposure(1, at=0), kuairand.exposure(2, at=3_600.5)])
    before = datetime.now(UTC)
    report = import_kuairand(import_settings, folder, shift_to_now=True)

    (first,), (newest,) = rows("select event_time from app.events order by user_id")
    assert before - timedelta(seconds=2) <= newest <= datetime.now(UTC)
    assert newest - first == timedelta(seconds=3_600)
    ((published,),) = rows("select published_at from app.videos")
    moved = timedelta(seconds=report.shift_seconds)
    assert published - moved == datetime(2022, 4, 9, 16, tzinfo=UTC)


def test_the_shift_of_the_first_import_stays(import_settings, kuairand, rows, content):
    folder = kuairand.write([kuairand.exposure(1)])
    first = import_kuairand(import_settings, folder, shift_to_now=True, until=date(2022, 5, 2))
    was = content()
    rows("select pg_sleep(1.1)")

    # Newer rows have come since: the same clock, so the old ones are recognised.
    kuairand.write([kuairand.exposure(1), kuairand.exposure(2, at=86_400)])
    second = import_kuairand(import_settings, folder, shift_to_now=True)
    assert second.shift_seconds == first.shift_seconds
    assert (second.of("impressions").inserted, second.of("impressions").duplicates) == (1, 1)
    assert set(was[0]) < set(content()[0])


@pytest.mark.parametrize("shifted_first", [True, False])
def test_a_second_clock_is_refused(import_settings, kuairand, content, shifted_first):
    folder = kuairand.write([kuairand.exposure(1)])
    import_kuairand(import_settings, folder, shift_to_now=shifted_first)
    was = content()
    with pytest.raises(ImportRefusedError, match="two clocks would count every event twice"):
        import_kuairand(import_settings, folder, shift_to_now=not shifted_first)
    assert content() == was


def test_an_outlier_in_the_future_does_not_set_the_clock(import_settings, kuairand, rows):
    far = int((datetime.now(UTC) + timedelta(days=900)).timestamp() * 1000)
    folder = kuairand.write([kuairand.exposure(1), kuairand.exposure(2, time_ms=far)])
    before = datetime.now(UTC)
    report = import_kuairand(import_settings, folder, shift_to_now=True)

    assert [bad.column for bad in report.malformed] == ["time_ms"]
    ((newest,),) = rows("select event_time from app.events")
    assert abs(newest - before) < timedelta(seconds=30)
