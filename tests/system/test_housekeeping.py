"""Housekeeping: partitions are there before they are needed; what waits or expires is seen to."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from api.workers.housekeeping import Tidied, connect, maintain_partitions, tidy

PARTITION_OF = "select app.event_partition_name(%s)"
EXISTS = "select to_regclass('app.' || app.event_partition_name(%s)) is not null"


def queue_view(postgres: psycopg.Connection[Any], video: int, viewer: int = 7) -> None:
    event = {
        "event_time": datetime.now(UTC).isoformat(),
        "item_type": "video",
        "item_id": video,
        "action": "view",
        "device": "phone",
        "app_ver": "1.0.0",
    }
    row = postgres.execute(
        "select queued from app.ingest_events(%s, %s)", (viewer, json.dumps([event]))
    ).fetchone()
    assert row == (1,)


def publish(postgres: psycopg.Connection[Any], *videos: int) -> None:
    postgres.execute("insert into app.users (id) values (1) on conflict do nothing")
    for video in videos:
        postgres.execute(
            "insert into app.videos (id, creator_id, status, published_at)"
            " values (%s, 1, 'published', now())",
            (video,),
        )


def views(postgres: psycopg.Connection[Any]) -> dict[int, int]:
    return dict(postgres.execute("select video_id, views from app.video_engagement").fetchall())


@contextmanager
def worker(postgres_url: str) -> Iterator[subprocess.Popen[str]]:
    environment = {
        **os.environ,
        "NOVA_POSTGRES_URL": postgres_url,
        "NOVA_JWT_SECRET": "x" * 40,
        "NOVA_CURSOR_SECRET": "y" * 40,
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "api.workers.housekeeping"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()


def test_missing_weeks_are_made_and_old_ones_dropped(postgres_url: str):
    now = datetime.now(UTC)
    next_week = now + timedelta(days=7)
    long_ago = (now - timedelta(days=90)).replace(hour=12)  # an hour from here is of the same week
    with connect(postgres_url) as postgres:
        name = postgres.execute(PARTITION_OF, (next_week,)).fetchone()[0]
        postgres.execute(f'drop table app."{name}"')
        postgres.execute(
            "select app.ensure_event_partitions(%s, %s)", (long_ago, long_ago + timedelta(hours=1))
        )
        assert postgres.execute(EXISTS, (long_ago,)).fetchone() == (True,)

        assert maintain_partitions(postgres) == 2
        assert postgres.execute(EXISTS, (next_week,)).fetchone() == (True,)
        assert postgres.execute(EXISTS, (long_ago,)).fetchone() == (False,)
        assert maintain_partitions(postgres) == 0


def test_a_round_ingests_what_appeared_and_forgets_what_expired(postgres_url: str):
    with connect(postgres_url) as postgres:
        for video in range(3):
            queue_view(postgres, video)
        postgres.execute(
            "update app.unknown_item_events set received_at = now() - interval '25 hours'"
            " where item_id = 2"
        )
        postgres.execute(
            "insert into app.request_keys (user_id, function_name, request_key, request_sha256,"
            " created_at) select 7, 'share_item', n::text, '', now() - n * interval '61 minutes'"
            " from generate_series(20, 30) as n"
        )
        publish(postgres, 1)

        assert tidy(postgres) == Tidied(ingested=1, expired=1, forgotten=7)
        assert tidy(postgres) == Tidied()
        assert views(postgres) == {1: 1}


def test_two_rounds_at_once_ingest_everything_once(postgres_url: str):
    videos = range(100, 160)
    with connect(postgres_url) as postgres:
        for video in videos:
            queue_view(postgres, video)
        publish(postgres, *videos)

        def one_round(_: int) -> int:
            with connect(postgres_url) as mine:
                steps = [
                    mine.execute(
                        "select ingested from app.ingest_queued_events(p_most => 7)"
                    ).fetchone()[0]
                    for _ in range(12)
                ]
            return sum(steps)

        with ThreadPoolExecutor(4) as pool:
            done = list(pool.map(one_round, range(4), timeout=60))

        assert sum(done) == 60
        assert views(postgres) == dict.fromkeys(videos, 1)
        assert postgres.execute("select count(*) from app.unknown_item_events").fetchone() == (0,)


def wait_until(connection: psycopg.Connection[Any], query: str, expected: Any) -> None:
    deadline = time.monotonic() + 60
    while (seen := connection.execute(query).fetchone()) != (expected,):
        assert time.monotonic() < deadline, f"{seen} and never {expected}: {query}"
        time.sleep(0.1)


def test_two_workers_store_a_queued_event_once_when_its_video_appears(postgres_url: str):
    with psycopg.connect(postgres_url, autocommit=True) as postgres:
        with worker(postgres_url), worker(postgres_url):
            wait_until(
                postgres,
                "select count(*) from pg_stat_activity where datname = current_database()"
                " and application_name = 'nova-housekeeping'",
                2,
            )
            queue_view(postgres, 5)
            publish(postgres, 5)
            wait_until(postgres, "select count(*) from app.unknown_item_events", 0)
        assert views(postgres) == {5: 1}


def test_the_worker_outlives_an_absent_postgres_and_ends_when_told():
    with worker("postgresql://nobody@127.0.0.1:1/nova") as process:
        assert "trying again" in process.stdout.readline()
