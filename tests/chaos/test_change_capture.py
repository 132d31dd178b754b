"""
The property of change capture, under a storm: ClickHouse ends up equal to Postgres.

Writers commit in random order, hold transactions open, roll back, fight over the same rows and
send large transactions, while the engine and the landing workers are killed with -9 again and
again. The same storm and the same check must fail for a worker without tokens, and for one whose
cursor runs over `_version`.

NOVA_TEST_CHAOS_SECONDS makes the storm longer than the 16 seconds of CI.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from threading import Event, Thread

import clickhouse_connect
import psycopg
import pytest
from clickhouse_connect.driver.exceptions import ClickHouseError
from psycopg import errors

from api.migrate import migrate_clickhouse, migrate_postgres
from api.settings import Settings
from api.stack.clickhouse import ClickHouseServer
from api.stack.migrations import cluster_variables
from api.stack.ports import free_port
from api.stack.postgres import PostgresServer
from api.workers.landing import land_until_settled
from tests.chaos.worker import CRASH_COUNTER, VARIANTS, run
from tests.clickhouse.equality import assert_landed_exactly

ROOT = Path(__file__).parents[2]
SECONDS = float(os.environ.get("NOVA_TEST_CHAOS_SECONDS", "16"))
CONTROL_SECONDS = 4.0
WRITERS = 6

# Workers are forked from a process that has imported everything: they die younger than a start
# of Python takes.
FORKSERVER = multiprocessing.get_context("forkserver")
FORKSERVER.set_forkserver_preload(["tests.chaos.worker"])

PASSWORD = 'it\'s \\ "secret" @/'
SECRET = "the-storm-signs-nothing-but-must-have-one"

# Rows that many transactions want at once.
USERS, VIDEOS = 40, 30
# Two rows no storm writer touches: one is written early and committed late.
EARLY, LATE = 9_001, 9_002

EVENTS = """
insert into app.events (
    idempotent_key, event_time, user_id, item_id, item_type, author_id, action,
    dwell_ms, watch_ms, completion, device, app_ver
)
select
    %(key)s + i as idempotent_key,
    date_trunc('second', now()) - make_interval(secs => (i * 7919 + %(salt)s) %% 2100000),
    (i * 31 + %(salt)s) %% 97,
    (i * 17 + %(salt)s) %% 61,
    case when i %% 3 = 0 then 'post' else 'video' end,
    (i + %(salt)s) %% 11,
    a.action,
    case when a.action = 'dwell' then i %% 900 else 0 end,
    case when a.action = 'view' then i %% 5000 else 0 end,
    case when a.action = 'view' and i %% 4 > 0 then (i %% 11) / 10.0 end,
    'phone',
    '1.' || i %% 5
from generate_series(1, %(rows)s) as i
cross join lateral (
    select (array[
        'impression', 'view', 'dwell', 'like', 'unlike', 'comment', 'uncomment', 'share',
        'not_interested', 'profile_visit', 'view'
    ])[(i * 13 + %(salt)s) %% 11 + 1] as action
) as a
"""


class Storm:
    """A Postgres, a ClickHouse and two landing workers in bad weather."""

    def __init__(self, root: Path, variant: str, postgres: PostgresServer) -> None:
        self.variant = variant
        self.postgres_url = postgres.address(variant)
        self.clickhouse = ClickHouseServer(root / f"clickhouse-{variant}", free_port(), PASSWORD)
        self.settings = Settings.from_environ(
            {},
            postgres_url=self.postgres_url,
            clickhouse_url=self.clickhouse.url,
            redis_url="redis://127.0.0.1:1/0",  # nobody is there: landing does without
            jwt_secret=SECRET,
            cursor_secret=SECRET[::-1],
        )
        self.root = root
        self.workers: list[ForkServerProcess] = []
        self.stop = Event()
        self.seen: Counter[str] = Counter()
        self.failures: list[Exception] = []

    # ---------- servers

    def prepare(self, postgres: PostgresServer) -> None:
        with psycopg.connect(postgres.address("postgres"), autocommit=True) as admin:
            admin.execute(f"create database {self.variant} template nova")  # type: ignore[arg-type]
        self.clickhouse.start()
        migrate_clickhouse(self.clickhouse.url, ROOT, variables=cluster_variables(""))
        with psycopg.connect(self.postgres_url, autocommit=True) as connection:
            connection.execute(
                "select app.ensure_event_partitions(now() - interval '26 days', now())"
            )
            connection.execute(
                "insert into app.users (id) select generate_series(0, %s)", [LATE + 1]
            )
            connection.execute(
                "insert into app.videos (id, creator_id, title) "
                "select i, i, 'video ' || i from generate_series(0, %s) as i",
                [VIDEOS],
            )
            connection.execute(
                "insert into app.video_engagement (video_id) select id from app.videos"
            )

    def start_worker(self) -> None:
        environment = {
            "NOVA_POSTGRES_URL": self.settings.postgres_url,
            "NOVA_CLICKHOUSE_URL": self.settings.clickhouse_url,
            "NOVA_REDIS_URL": self.settings.redis_url,
            "NOVA_JWT_SECRET": SECRET,
            "NOVA_CURSOR_SECRET": SECRET,
            "NOVA_LANDING_INTERVAL_MS": "50",
            "NOVA_LANDING_WINDOW_ROWS": "5000",
            CRASH_COUNTER: str(self.root / f"crashes-{self.variant}"),
        }
        worker = FORKSERVER.Process(
            target=run,
            args=(self.variant, environment, self.root / f"worker-{self.variant}.log"),
            daemon=True,
        )
        worker.start()
        self.workers.append(worker)

    def kill_worker(self) -> None:
        worker = self.workers.pop(0)
        worker.kill()
        worker.join()
        self.seen["workers killed"] += 1

    def kill_engine(self) -> None:
        self.clickhouse.kill()
        self.seen["engines killed"] += 1
        self.clickhouse.start()

    def cut_connections(self) -> None:
        """Take the lock away from whoever holds it, maybe in the middle of a window."""
        with psycopg.connect(self.postgres_url, autocommit=True) as connection:
            connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where application_name = 'nova landing' and datname = current_database()"
            )
        self.seen["lock connections cut"] += 1

    def close(self) -> None:
        for worker in self.workers:
            worker.kill()
            worker.join()
        self.workers.clear()
        self.clickhouse.kill()

    # ---------- weather

    def rage(self, seconds: float) -> None:
        """Write, hold, roll back and kill for so long; returns when all has been written."""
        chance = random.Random(f"killer {self.variant}")
        writers = [Thread(target=self.write, args=(number,)) for number in range(WRITERS)]
        for _ in range(2):  # two at once must be harmless
            self.start_worker()
        early = Thread(target=self.commit_early_work_late)
        for thread in (*writers, early):
            thread.start()
        blows: list[Callable[[], None]] = [self.kill_worker, self.kill_engine, self.cut_connections]
        began_at = time.monotonic()
        while (passed := time.monotonic() - began_at) < seconds or (
            not self.seen["workers crashed between rows and record"] and passed < seconds + 60
        ):
            for worker in [dead for dead in self.workers if not dead.is_alive()]:
                self.seen["workers crashed between rows and record"] += (
                    worker.exitcode == -signal.SIGKILL
                )
                assert worker.exitcode == -signal.SIGKILL, "a worker gave up; see its log"
                self.workers.remove(worker)
            while len(self.workers) < 2:
                self.start_worker()
            time.sleep(chance.uniform(0.1, 0.8))
            # The controls need their own fault only, and time to commit it. So does a worker that
            # has not come as far as its own crash yet: on a slow machine it would always be killed
            # before.
            if self.variant == "exact" and 1 < passed < seconds:
                chance.choices(blows, weights=[3, 3, 1])[0]()
        self.stop.set()
        for thread in (*writers, early):
            thread.join()
        assert self.failures == []

    def write(self, number: int) -> None:
        """Commit random transactions until the storm is over."""
        chance = random.Random(f"writer {number} {self.variant}")
        key = number * 10**12
        try:
            with psycopg.connect(self.postgres_url) as connection:
                while not self.stop.is_set():
                    try:
                        for _ in range(chance.randint(1, 4)):
                            key = self.change(connection, chance, key)
                            time.sleep(chance.choice([0, 0, 0.02]))
                        time.sleep(chance.choice([0, 0.01, 0.1, 0.4]))
                        if chance.random() < 0.15:
                            connection.rollback()
                            self.seen["rollbacks"] += 1
                        else:
                            connection.commit()
                            self.seen["commits"] += 1
                    except errors.DeadlockDetected:
                        connection.rollback()
                        self.seen["deadlocks"] += 1
        except Exception as exc:
            self.failures.append(exc)

    def change(self, connection: psycopg.Connection, chance: random.Random, key: int) -> int:
        user, other = chance.sample(range(USERS), 2)
        video = chance.randrange(VIDEOS)
        kind = chance.random()
        if kind < 0.45:
            rows = chance.choices([chance.randint(1, 300), chance.randint(4_000, 12_000)], [24, 1])
            connection.execute(
                EVENTS, {"key": key, "salt": chance.randrange(10_000), "rows": rows[0]}
            )
            return key + rows[0]
        if kind < 0.6:
            connection.execute(
                "update app.users set username = %s where id = %s",
                [f"{user} at {time.time()}", user],
            )
        elif kind < 0.75:
            table, key_columns, ends = chance.choice(
                [
                    ("follows", "follower_id, followee_id", [user, other]),
                    ("blocks", "blocker_id, blocked_id", [user, other]),
                    ("not_interested", "user_id, video_id", [user, video]),
                ]
            )
            connection.execute(
                f"insert into app.{table} ({key_columns}) values (%s, %s) "  # type: ignore[arg-type]
                f"on conflict on constraint {table}_pkey "
                f"do update set deleted = not {table}.deleted",
                ends,
            )
        elif kind < 0.9:
            connection.execute(
                "update app.video_engagement "
                "set views = views + 1, completions = completions + 0.5 "
                "where video_id = any(%s)",
                [sorted(chance.sample(range(VIDEOS), 3))],
            )
        elif kind < 0.95:
            connection.execute(
                "update app.videos set title = %s, hashtags = %s where id = %s",
                [f"tab\t\\ 'quoted' \n漢 {chance.random()}", ["a", 'b "c"'], video],
            )
        else:
            connection.execute(
                "insert into app.posts (id, author_id, body) values (%s, %s, %s) "
                "on conflict (id) do update set body = excluded.body",
                [chance.randrange(500), user, "" if chance.random() < 0.1 else "post"],
            )
        return key

    def commit_early_work_late(self) -> None:
        """
        Take a version, let another transaction take a later one and commit, then commit.

        Waits until the later one has landed, which it must not do before the early one ends; with a
        cursor over versions it does, as soon as a worker has begun.
        """
        seconds = 60 if self.variant == "over_versions" else 2.5
        try:
            with psycopg.connect(self.postgres_url) as early:
                early.execute("update app.users set username = 'early' where id = %s", [EARLY])
                with psycopg.connect(self.postgres_url, autocommit=True) as late:
                    late.execute("update app.users set username = 'late' where id = %s", [LATE])
                deadline = time.monotonic() + seconds
                while time.monotonic() < deadline and not self.has_landed(LATE, "late"):
                    time.sleep(0.05)
                early.commit()
        except Exception as exc:
            self.failures.append(exc)

    def has_landed(self, user_id: int, username: str) -> bool:
        with (
            contextlib.suppress(ClickHouseError),
            clickhouse_connect.get_client(
                dsn=self.clickhouse.url, autogenerate_session_id=False
            ) as client,
        ):
            return bool(
                client.query(
                    "select count() from raw.users "
                    f"where user_id = {user_id} and username = '{username}'"
                ).result_rows[0][0]
            )
        return False

    # ---------- afterwards

    def calm(self) -> None:
        """End the workers and land what is left."""
        for worker in self.workers:
            worker.terminate()
        for worker in self.workers:
            worker.join(timeout=60)
        endings = {worker.exitcode for worker in self.workers}
        self.workers.clear()
        # Cleanly, by a crash of its own, or told to before it had begun to listen to signals.
        assert endings <= {0, -signal.SIGKILL, -signal.SIGTERM}
        land_until_settled(self.settings, 90, landing_type=VARIANTS[self.variant])

    def tell(self) -> None:
        with psycopg.connect(self.postgres_url) as connection:
            for table in ("events", "users", "follows", "video_engagement"):
                found = connection.execute(f"select count(*) from app.{table}").fetchone()  # type: ignore[arg-type]
                assert found
                self.seen[f"rows of {table}"] = found[0]
        print(f"{self.variant}: {dict(self.seen)}")


@pytest.fixture(scope="module")
def root() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="nova-storm-"))
    path.chmod(0o755)
    yield path
    if not os.environ.get("NOVA_TEST_KEEP"):
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def postgres(root: Path) -> Iterator[PostgresServer]:
    server = PostgresServer(root / "postgres", free_port(), PASSWORD)
    server.start()
    migrate_postgres(server.url, ROOT)
    yield server
    server.stop()


@pytest.fixture
def storm(request: pytest.FixtureRequest, root: Path, postgres: PostgresServer) -> Iterator[Storm]:
    storm = Storm(root, request.param, postgres)
    try:
        storm.prepare(postgres)
        yield storm
    finally:
        storm.stop.set()
        storm.close()


@pytest.mark.timeout(240 + 4 * SECONDS)
@pytest.mark.parametrize("storm", ["exact"], indirect=True)
def test_clickhouse_equals_postgres_after_a_storm(storm: Storm) -> None:
    storm.rage(SECONDS)
    storm.calm()
    storm.tell()
    assert_landed_exactly(storm.postgres_url, storm.clickhouse.url)

    # The storm was one: each thing it is there for happened.
    for what in ("workers killed", "engines killed", "rollbacks", "lock connections cut"):
        assert storm.seen[what] > 0, what
    assert storm.seen["workers crashed between rows and record"] > 0


@pytest.mark.parametrize("storm", ["without_tokens"], indirect=True)
def test_without_tokens_events_land_twice(storm: Storm) -> None:
    storm.rage(CONTROL_SECONDS)
    storm.calm()
    storm.tell()
    with pytest.raises(AssertionError, match=r"'events': .\d+ rows wanted, 0 missing, [1-9]"):
        assert_landed_exactly(storm.postgres_url, storm.clickhouse.url)


@pytest.mark.parametrize("storm", ["over_versions"], indirect=True)
def test_a_cursor_over_versions_loses_rows(storm: Storm) -> None:
    storm.rage(CONTROL_SECONDS)
    storm.calm()
    storm.tell()
    with pytest.raises(AssertionError, match=r"'users': .\d+ rows wanted, [1-9]\d* missing"):
        assert_landed_exactly(storm.postgres_url, storm.clickhouse.url)


def test_the_password_of_postgres_is_in_no_log(root: Path, postgres: PostgresServer) -> None:
    """The storms before have logged every way a statement can fail."""
    now = datetime.now(UTC)
    logs = list(root.glob("**/*.log"))
    assert any(
        datetime.fromtimestamp(log.stat().st_mtime, UTC) > now - timedelta(minutes=30)
        for log in logs
    )
    for log in logs:
        assert b"secret" not in log.read_bytes(), log.name
