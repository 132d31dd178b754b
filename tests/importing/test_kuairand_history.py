"""The history file: what viewers watched before the log, at times that are made up by a rule."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from api.importing.kuairand import import_kuairand
from api.importing.recount import recount_kuairand

VIEWER, VIDEO = 1_000_000_000, 1_000_000_000

# The data set opened at 2022-04-07 16:00:00 UTC; this viewer's last exposure is 1,000 seconds
# later and their history is 10 exposures long: one step is 100 seconds.
OPENED_MS = 1_649_347_200_000
LAST_MS = OPENED_MS + 1_000_000
LAST = datetime(2022, 4, 7, 16, 16, 40, tzinfo=UTC)

EVENTS = (
    "select action, item_id - 1000000000, event_time, completion from app.events"
    " where device = 'kuairand-history' order by event_time, item_id, action"
)


@pytest.fixture
def videos(kuairand):
    return [kuairand.video(number) for number in range(1, 10)]


def test_views_step_back_from_the_last_exposure(import_settings, kuairand, rows, videos):
    folder = kuairand.write(
        [kuairand.exposure(2, video=1)], videos, [f"1,10,{LAST_MS},3 4 3,4,3 4"]
    )
    report = import_kuairand(import_settings, folder)

    step = timedelta(seconds=100)
    short, long = pytest.approx(0.1), pytest.approx(0.75)
    assert rows(EVENTS) == [
        # 3 was watched twice and one of them was long: the later one.
        ("view", 3, LAST - 2 * step, short),
        ("like", 4, LAST - step, None),
        ("view", 4, LAST - step, long),
        ("view", 3, LAST, long),
    ]
    assert report.of("history_plays").inserted == 3
    assert report.of("history_likes").inserted == 1
    assert rows("select user_id, item_id from app.likes") == [(VIEWER + 1, VIDEO + 4)]
    assert rows("select views from app.video_engagement order by video_id") == [(2,), (1,)]


def test_what_is_older_than_the_list_goes_before_it(import_settings, kuairand, rows, videos):
    folder = kuairand.write(
        [kuairand.exposure(2, video=1)], videos, [f"1,10,{LAST_MS},5,8 9 5,6 7"]
    )
    import_kuairand(import_settings, folder)

    step = timedelta(seconds=100)
    assert [row[:3] for row in rows(EVENTS)] == [
        ("view", 6, LAST - 2 * step),
        ("like", 8, LAST - 2 * step),
        ("view", 7, LAST - step),
        ("like", 9, LAST - step),
        ("like", 5, LAST),
        ("view", 5, LAST),
    ]


def test_the_same_like_in_the_log_counts_once(import_settings, kuairand, rows, videos):
    folder = kuairand.write(
        [kuairand.exposure(1, video=4, is_like=1)], videos, [f"1,10,{LAST_MS},4,4,"]
    )
    report = import_kuairand(import_settings, folder)

    assert (report.of("likes").read, report.of("likes").inserted) == (1, 0)
    assert rows("select likes from app.video_engagement") == [(1,)]


def test_an_unknown_video_costs_itself_only(import_settings, kuairand, rows, videos):
    folder = kuairand.write(
        [kuairand.exposure(2, video=1)],
        videos,
        [f"1,10,{LAST_MS},3 777 4,,", f"2,10,{LAST_MS},3 x,,", f"3,10,{LAST_MS},,,"],
    )
    report = import_kuairand(import_settings, folder)

    assert [(bad.line, bad.column) for bad in report.malformed] == [
        (2, "watch_seq"),
        (3, "watch_seq"),
    ]
    assert "video 777 is not in the video features" in report.malformed[0].reason
    assert "'3 x' is not a list of ids" in report.malformed[1].reason
    # The places of the others are as if it were there.
    assert [row[1:3] for row in rows(EVENTS)] == [
        (3, LAST - timedelta(seconds=200)),
        (4, LAST),
    ]


def test_the_log_alone(import_settings, kuairand, rows, videos):
    folder = kuairand.write([kuairand.exposure(2, video=1)], videos, [f"1,10,{LAST_MS},3,,"])
    import_kuairand(import_settings, folder, history=False)

    assert rows(EVENTS) == []
    assert rows("select id from app.users where id < 2000000000") == [(VIEWER + 2,)]


def test_the_recount_knows_the_same_rule(import_settings, kuairand, rows, videos):
    """The recount shares no code with the import; both must read the rule alike."""
    folder = kuairand.write(
        [
            kuairand.exposure(1, video=4, at=0, play_time_ms=10, is_like=1),
            kuairand.exposure(1, video=4, at=9, play_time_ms=20, is_like=1, is_hate=1),
            kuairand.exposure(1, video=4, at=9, play_time_ms=30, is_follow=1),
            # The last item of the history is this very exposure.
            kuairand.exposure(3, video=2, time_ms=LAST_MS + 400, play_time_ms=40),
        ],
        videos,
        [
            f"1,10,{LAST_MS},3 4 3 3 8,4 4 9,3 3 7 3 3",
            f"2,300,{LAST_MS},1 1 1 1,,9 1 1",
            f"3,3,{LAST_MS},2 2 2,2,",
        ],
    )
    import_kuairand(import_settings, folder)
    recounted = recount_kuairand(folder)

    assert recounted.events == dict(rows("select action, count(*) from app.events group by 1"))
    assert recounted.views_per_video == dict(
        rows("select video_id - 1000000000, views from app.video_engagement where views > 0")
    )
    assert [(recounted.watch_ms,)] == rows("select sum(watch_ms) from app.video_engagement")
    assert [(recounted.viewers,)] == rows("select count(*) from app.users where id < 2000000000")
    assert [(recounted.follows,)] == rows("select count(*) from app.follows")
