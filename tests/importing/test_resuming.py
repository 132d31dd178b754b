"""Killed, repeated, run twice at once: an import ends in the same rows."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from api.importing import kuairand as kuairand_module
from api.importing import runner
from api.importing.errors import ImportInterruptedError, ImportRefusedError
from api.importing.kuairand import import_kuairand
from tests.conftest import child_environment

ROOT = Path(__file__).parents[2]


@pytest.fixture
def world(kuairand, monkeypatch):
    """120 exposures with repeats across chunks, one bad line, some history; chunks are small."""
    monkeypatch.setattr(kuairand_module, "LOG_LINES", 10)
    monkeypatch.setattr(kuairand_module, "HISTORY_LINES", 2)
    log = [
        kuairand.exposure(
            viewer=n % 7,
            video=n % 5,
            at=n % 90,
            play_time_ms=100 * (n % 4),
            is_like=int(n % 3 == 0),
            is_follow=int(n % 11 == 0),
        )
        for n in range(120)
    ]
    log[40] = kuairand.exposure(viewer=1, video=2, is_like="?")
    history = [f"{n},10,1650000000000,1 2 3,2,3" for n in range(7)]
    return kuairand.write(log, [kuairand.video(n, 50 + n) for n in range(5)], history)


class InterruptedImportError(Exception):
    """Stands for whatever ends an import."""


def stop_after(steps: int):
    left = steps

    def progress(step: str, done: int, total: int) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise InterruptedImportError

    return progress


@pytest.fixture
def whole(world, import_settings, content):
    """What an import without interruption leaves; the database is emptied again."""
    report = import_kuairand(import_settings, world)
    expected = content()
    with psycopg.connect(import_settings.postgres_url, autocommit=True) as connection:
        tables = connection.execute(
            "select string_agg(format('app.%I', relname), ', ') from pg_class"
            " where relnamespace = 'app'::regnamespace and relkind in ('r', 'p')"
            " and not relispartition and relname <> 'schema_migrations'"
        ).fetchone()
        connection.execute(f"truncate {tables[0]} restart identity")
    assert content() != expected
    return report, expected


@pytest.mark.parametrize("steps", [1, 4, 6, 9, 14, 19])
def test_an_interrupted_import_goes_on(world, import_settings, content, rows, whole, steps):
    unbroken, expected = whole
    with pytest.raises(InterruptedImportError):
        import_kuairand(import_settings, world, progress=stop_after(steps))
    stored = {tuple(row) for row in rows("select file, from_line from app.import_chunks")}

    report = import_kuairand(import_settings, world)
    assert content() == expected
    assert report.is_resumed == (steps > 3)
    assert report.counts == unbroken.counts
    assert report.malformed == unbroken.malformed
    assert stored <= {tuple(row) for row in rows("select file, from_line from app.import_chunks")}
    assert rows("select count(*), count(finished_at) from app.import_runs") == [(1, 1)]


def test_an_import_killed_again_and_again_loses_and_doubles_nothing(
    world, import_settings, content, whole, tmp_path
):
    _, expected = whole
    script = (
        "import sys; from pathlib import Path; from api.settings import Settings;"
        "from api.importing import kuairand;"
        "kuairand.LOG_LINES, kuairand.HISTORY_LINES = 10, 2;"
        "kuairand.import_kuairand(Settings.from_environ(), Path(sys.argv[1]),"
        " progress=lambda step, done, total: print(step, done, flush=True))"
    )
    lives = 0
    for life in range(60):
        child = subprocess.Popen(
            [sys.executable, "-c", script, str(world)],
            cwd=ROOT,
            env=child_environment(import_settings),
            stdout=subprocess.PIPE,
            text=True,
        )
        with child:
            assert child.stdout is not None
            # Each life gets a little further, and dies in the middle of a chunk.
            for seen, _ in enumerate(child.stdout):
                if seen == 3 + 2 * life:
                    time.sleep(0.002 * (life % 3))
                    child.send_signal(signal.SIGKILL)
                    break
            child.stdout.read()
        lives += 1
        if child.returncode == 0:
            break
        assert child.returncode == -signal.SIGKILL
    assert lives > 3
    assert content() == expected


def test_a_lost_connection_says_what_to_do(world, import_settings, rows, content, whole):
    _, expected = whole

    def cut(step: str, done: int, total: int) -> None:
        if done == 14:
            rows(
                "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
                " where application_name = 'nova-import-kuairand'"
                " and datname = current_database()"
            )

    with pytest.raises(ImportInterruptedError, match="same command goes on where it was"):
        import_kuairand(import_settings, world, progress=cut)
    assert import_kuairand(import_settings, world).is_resumed
    assert content() == expected


def test_imported_twice_is_imported_once(world, import_settings, content):
    first = import_kuairand(import_settings, world)
    once = content()
    second = import_kuairand(import_settings, world)

    assert content() == once
    assert not second.is_resumed
    assert second.inserted == 0
    assert [count.read for count in second.counts] == [count.read for count in first.counts]
    assert second.malformed == first.malformed


def test_a_file_that_has_grown_adds_what_is_new(world, import_settings, kuairand, rows):
    import_kuairand(import_settings, world)
    ((before,),) = rows("select count(*) from app.events")
    with kuairand.log.open("a") as log:
        log.write(kuairand.exposure(viewer=99, video=1, at=200) + "\n")
    report = import_kuairand(import_settings, world)

    assert report.of("impressions").inserted == 1
    assert rows("select count(*) from app.events") == [(before + 1,)]


def test_expired_events_are_not_counted_again(world, import_settings, kuairand, rows):
    """Partitions of events are dropped after a while; the totals they made are kept."""
    import_kuairand(import_settings, world)
    totals = rows("select * from app.video_engagement order by 1")
    rows("select app.drop_expired_event_partitions(interval '35 days')")
    assert rows("select count(*) from app.events") == [(0,)]

    with kuairand.log.open("a") as log:
        log.write(kuairand.exposure(viewer=98, video=1, at=86_400 * 30) + "\n")
    report = import_kuairand(import_settings, world)
    assert report.of("plays").inserted == 0
    assert report.of("impressions").inserted == 1
    assert rows("select * from app.video_engagement order by 1") == totals


def test_two_at_once_is_refused(world, import_settings, monkeypatch):
    monkeypatch.setattr(runner, "LOCK_WAIT", "100ms")
    with psycopg.connect(import_settings.postgres_url, autocommit=True) as other:
        other.execute("select pg_advisory_lock(hashtextextended('app.import kuairand', 0))")
        with pytest.raises(ImportRefusedError, match="another import of kuairand is running"):
            import_kuairand(import_settings, world)


def test_deleted_since_stays_deleted(world, import_settings, rows):
    """What was taken back here is not brought back by importing the file again."""
    import_kuairand(import_settings, world)
    changed = rows("update app.follows set deleted = true returning follower_id, followee_id")
    assert changed
    import_kuairand(import_settings, world)
    assert rows("select 1 from app.follows where not deleted") == []
