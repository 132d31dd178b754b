"""Hand-made files in the formats we import, and Postgres alone: imports need nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from api.settings import Settings
from tests.conftest import settings_on

LOG_HEADER = (
    '"user_id","video_id","date","hourmin","time_ms","is_click","is_like","is_follow",'
    '"is_comment","is_forward","is_hate","long_view","play_time_ms","duration_ms",'
    '"profile_stay_time","comment_stay_time","is_profile_enter","is_rand","tab"'
)
VIDEO_HEADER = (
    "video_id,author_id,video_type,upload_dt,upload_type,visible_status,video_duration,"
    "server_width,server_height,music_id,music_type,tag"
)
HISTORY_HEADER = "user_id,history_len,last_time_ms,watch_seq,like_seq,long_watch_seq"

# 2022-05-02 12:00:00 UTC; every exposure below is so many seconds later.
NOON_MS = 1_651_492_800_000


class KuaiRand:
    """A folder in the layout of KuaiRand, written line by line."""

    noon_ms = NOON_MS

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.videos = folder / "video_features_basic_pure.csv"
        self.log = folder / "log_standard_4_25_to_5_04_pure.csv"
        self.history = folder / "user_history_before_4_25_last50.csv"

    @staticmethod
    def exposure(viewer: int = 1, video: int = 7, at: float = 0, **columns: object) -> str:
        """One line of the log, `at` seconds after noon; columns by name change the rest."""
        values: dict[str, object] = {
            "user_id": viewer,
            "video_id": video,
            "date": 20220502,
            "hourmin": 2000,
            "time_ms": NOON_MS + int(at * 1000),
            "is_click": 0,
            "is_like": 0,
            "is_follow": 0,
            "is_comment": 0,
            "is_forward": 0,
            "is_hate": 0,
            "long_view": 0,
            "play_time_ms": 0,
            "duration_ms": 10_000,
            "profile_stay_time": 0,
            "comment_stay_time": 0,
            "is_profile_enter": 0,
            "is_rand": 0,
            "tab": 1,
        }
        assert columns.keys() <= values.keys()
        return ",".join(str(value) for value in {**values, **columns}.values())

    @staticmethod
    def video(number: int = 7, creator: int = 70, **columns: object) -> str:
        """One line of the video features."""
        values: dict[str, object] = {
            "video_id": number,
            "author_id": creator,
            "video_type": "NORMAL",
            "upload_dt": "2022-04-10",
            "upload_type": "Web",
            "visible_status": "0.0",
            "video_duration": "20000.0",
            "server_width": "720.0",
            "server_height": "1280.0",
            "music_id": 9_155_697_141,
            "music_type": "9.0",
            "tag": "39",
        }
        assert columns.keys() <= values.keys()
        return ",".join(str(value) for value in {**values, **columns}.values())

    def write(
        self,
        log: Iterable[str] = (),
        videos: Iterable[str] = (),
        history: Iterable[str] | None = None,
    ) -> Path:
        """Write the files; history only when given."""
        self.log.write_text("\n".join([LOG_HEADER, *log, ""]))
        self.videos.write_text("\n".join([VIDEO_HEADER, *(videos or [self.video()]), ""]))
        if history is not None:
            self.history.write_text("\n".join([HISTORY_HEADER, *history, ""]))
        return self.folder


@pytest.fixture
def kuairand(tmp_path: Path) -> KuaiRand:
    """An empty folder to fill."""
    return KuaiRand(tmp_path)


@pytest.fixture
def import_settings(postgres_url: str) -> Settings:
    """Settings of a system of which only Postgres runs."""
    return settings_on(postgres_url=postgres_url)


Rows = list[tuple[Any, ...]]


@pytest.fixture
def rows(postgres_url: str) -> Iterator[Callable[..., Rows]]:
    """Ask the test's database something."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("set timezone = 'UTC'")
        yield lambda query, *values: connection.execute(query, values or None).fetchall()


CONTENT = (
    "select user_id, item_id, author_id, action, event_time, watch_ms, completion, device"
    " from app.events order by 1, 2, 4, 5",
    "select video_id, views, completions, watch_ms, likes, shares, comments"
    " from app.video_engagement order by 1",
    "select follower_id, followee_id, created_at from app.follows order by 1, 2",
    "select user_id, item_type, item_id, created_at from app.likes order by 1, 2, 3",
    "select user_id, video_id from app.not_interested order by 1, 2",
    "select id, created_at from app.users order by 1",
    "select id, creator_id, sound_id, category, duration_ms, published_at"
    " from app.videos order by 1",
    "select id, author_id, body, created_at from app.posts order by 1",
    "select post_id, likes, comments from app.post_engagement order by 1",
)


@pytest.fixture
def content(rows: Callable[..., Rows]) -> Callable[[], list[Rows]]:
    """Everything an import writes, for comparison."""
    return lambda: [rows(query) for query in CONTENT]
