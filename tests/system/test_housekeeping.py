"""Housekeeping: partitions are there before they are needed, and gone when they expired."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import psycopg

from api.workers.housekeeping import keep_house
from tests.conftest import child_environment, settings_on

PARTITION_OF = "select app.event_partition_name(%s)"
EXISTS = "select to_regclass('app.' || app.event_partition_name(%s)) is not null"


def test_missing_weeks_are_made_and_old_ones_dropped(postgres_url: str):
    now = datetime.now(UTC)
    next_week, long_ago = now + timedelta(days=7), now - timedelta(days=90)
    with psycopg.connect(postgres_url, autocommit=True) as postgres:
        name = postgres.execute(PARTITION_OF, (next_week,)).fetchone()[0]
        postgres.execute(f'drop table app."{name}"')
        postgres.execute(
            "select app.ensure_event_partitions(%s, %s)", (long_ago, long_ago + timedelta(hours=1))
        )
        assert postgres.execute(EXISTS, (long_ago,)).fetchone() == (True,)

        assert keep_house(postgres_url) == 2
        assert postgres.execute(EXISTS, (next_week,)).fetchone() == (True,)
        assert postgres.execute(EXISTS, (long_ago,)).fetchone() == (False,)

    assert keep_house(postgres_url) == 0


def test_the_worker_outlives_an_absent_postgres_and_ends_when_told():
    worker = subprocess.Popen(
        [sys.executable, "-m", "api.workers.housekeeping"],
        env=child_environment(settings_on()),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert "trying again" in worker.stdout.readline()
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(10) == 0
