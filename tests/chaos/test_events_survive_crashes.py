"""
Events over HTTP while the service, ClickHouse or Postgres is killed with -9, again and again.

Clients send again what was not acknowledged, as real ones do. In the end every event is in
Postgres once, ClickHouse holds the same, and every rollup equals a recount.

The whole system runs: the service with two workers, Postgres with fsync, Redis, the engine's
process, and the workers behind it. NOVA_TEST_CHAOS_SECONDS makes each test longer.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import psycopg
import pytest

from api.stack.process import ManagedProcess
from api.workers.landing import land_until_settled
from bench.traffic import Batch, Traffic, items_of
from tests.chaos.machine import Machine, own_folder, send
from tests.chaos.senders import Attempt, Senders
from tests.clickhouse.equality import assert_landed_exactly

SECONDS = float(os.environ.get("NOVA_TEST_CHAOS_SECONDS", "10"))
KILLS = 3
SENDERS = 8
BATCHES = 4_000  # count; then from the beginning
BATCH_EVENTS = 20
VIEWERS = 400
VIDEOS, POSTS = 2_000, 200

VARIABLES = {
    "NOVA_WORKERS": "2",
    "NOVA_RATE_LIMIT_PER_MINUTE": "1000000",
    "NOVA_LANDING_INTERVAL_MS": "50",
    "NOVA_LOG_LEVEL": "warning",
    # Slow on a busy machine is not what is tested here.
    "NOVA_POSTGRES_TIMEOUT_MS": "5000",
}


class World(Machine):
    """A machine with items to act on."""

    def prepare(self) -> None:
        self.start_stores()
        with psycopg.connect(self.settings.postgres_url, autocommit=True) as postgres:
            postgres.execute("insert into app.users (id) select generate_series(1, 50)")
            postgres.execute(
                "insert into app.videos (id, creator_id, title, status, published_at) "
                "select i, i %% 50 + 1, 'video ' || i, 'published', now() "
                "from generate_series(1, %s) as i",
                [VIDEOS],
            )
            postgres.execute(
                "insert into app.posts (id, author_id, body) "
                "select i, i %% 50 + 1, 'post' from generate_series(1, %s) as i",
                [POSTS],
            )
        self.start()

    def traffic(self, first_viewer: int) -> Sequence[Batch]:
        traffic = Traffic(
            items_of(self.settings.postgres_url),
            range(first_viewer, first_viewer + VIEWERS),
            seed=first_viewer,
            ends_at=datetime.now(UTC),
        )
        return traffic.batches(BATCHES, BATCH_EVENTS)

    def stored_keys(self, first_viewer: int) -> list[int]:
        with psycopg.connect(self.settings.postgres_url) as postgres:
            return [
                row[0]
                for row in postgres.execute(
                    "select idempotent_key from app.events where user_id between %s and %s",
                    [first_viewer, first_viewer + VIEWERS - 1],
                )
            ]

    def miscounted_items(self) -> list[tuple[object, ...]]:
        """Items whose running totals are not what their events add up to."""
        with psycopg.connect(self.settings.postgres_url) as postgres:
            return postgres.execute(
                """
                with recounted as (
                    select
                        item_id,
                        count(*) filter (where action = 'view') as views,
                        count(*) filter (where action = 'like') as likes,
                        count(*) filter (where action = 'comment') as comments,
                        count(*) filter (where action = 'share') as shares
                    from app.events
                    where item_type = 'video'
                    group by item_id
                )

                select item_id, recounted, totals
                from recounted
                full join app.video_engagement as totals on item_id = video_id
                where
                    (recounted.views, recounted.likes, recounted.comments, recounted.shares)
                    is distinct from
                    (totals.views, totals.likes, totals.comments, totals.shares)
                    and coalesce(
                        recounted.views + recounted.likes + recounted.comments + recounted.shares,
                        1
                    ) > 0
                """
            ).fetchall()


@pytest.fixture(scope="module")
def prepared() -> Iterator[World]:
    with own_folder("crashes") as root:
        world = World(root, VARIABLES)
        try:
            world.prepare()
            yield world
        finally:
            world.close()


@pytest.fixture
def world(prepared: World) -> World:
    prepared.start()
    return prepared


class Storm:
    """Senders at work, and kills among them."""

    def __init__(self, world: World, first_viewer: int) -> None:
        self.world = world
        self.first_viewer = first_viewer
        self.senders = Senders(
            world.settings.port, world.traffic(first_viewer), world.token, SENDERS
        )
        self.kills: list[float] = []

    def rage(self, victim: ManagedProcess, *, kills: int = KILLS, is_needed: bool = True) -> None:
        """
        Kill a process several times while requests are under way, and start it again.

        One that requests do not need stays dead until some have been acknowledged without it.
        """
        self.senders.start()
        for _ in range(kills):
            self.go_on()
            family = self.world.family(victim.name)
            self.senders.wait_for(lambda: self.senders.in_flight >= SENDERS // 2)
            self.kills.append(time.monotonic())
            send(family, signal.SIGKILL)
            victim.kill()
            if not is_needed:
                self.senders.wait_for(lambda: bool(self.acknowledged_after_kill()))
            victim.start()
        self.go_on()
        self.senders.finish()

    def go_on(self) -> None:
        """Let the senders work for their part of the time, and until they are answered again."""
        self.senders.wait_for(lambda: bool(self.acknowledged_after_kill()))
        time.sleep(SECONDS / (KILLS + 1))

    def acknowledged_after_kill(self) -> list[Attempt]:
        """Requests begun after the last kill, and acknowledged."""
        since = self.kills[-1] if self.kills else 0.0
        return [attempt for attempt in self.senders.acknowledged() if attempt.began_at > since]

    def check(self) -> None:
        """Everything sent was acknowledged in the end: it is there, once, and nothing else is."""
        acknowledged = self.senders.acknowledged_keys()
        assert acknowledged == self.senders.sent_keys()
        stored = self.world.stored_keys(self.first_viewer)
        assert len(stored) == len(set(stored))
        missing, unsent = acknowledged - set(stored), set(stored) - acknowledged
        assert (len(missing), len(unsent)) == (0, 0), "stored is not what was acknowledged"
        land_until_settled(self.world.settings, 90)
        assert_landed_exactly(self.world.settings.postgres_url, self.world.settings.clickhouse_url)
        assert self.world.miscounted_items() == []

    def tell(self) -> int:
        """Return how many requests the kills brought to nothing while they were under way."""
        cut_off = [len(self.senders.failed_at(kill)) for kill in self.kills]
        print(
            f"{self.senders.summary()}; under way when killed: {cut_off}; "
            f"{self.stored_without_answer()} batches were stored by a request that got no answer"
        )
        return sum(cut_off)

    def stored_without_answer(self) -> int:
        failed = {attempt.batch for attempt in self.senders.attempts if not attempt.status}
        return sum(
            attempt.deduped == attempt.received
            for attempt in self.senders.acknowledged()
            if attempt.batch in failed
        )


@pytest.mark.timeout(240 + 2 * SECONDS)
def test_the_service_is_killed(world: World) -> None:
    storm = Storm(world, first_viewer=1_000_000)
    storm.rage(world.processes["api"])
    assert storm.tell() > 0
    storm.check()


@pytest.mark.timeout(240 + 2 * SECONDS)
def test_clickhouse_is_killed(world: World) -> None:
    """Writes go on without it; what they wrote lands afterwards."""
    log = world.processes["landing"].log_path
    told_before = log.stat().st_size
    storm = Storm(world, first_viewer=2_000_000)
    storm.rage(world.processes["clickhouse"], is_needed=False)
    storm.tell()
    storm.check()
    assert "a store is away" in log.read_text()[told_before:]


@pytest.mark.timeout(240 + 2 * SECONDS)
def test_postgres_is_killed(world: World) -> None:
    storm = Storm(world, first_viewer=3_000_000)
    storm.rage(world.processes["postgres"])
    assert storm.tell() > 0
    storm.check()


@pytest.mark.timeout(240 + 2 * SECONDS)
def test_a_postgres_that_does_not_wait_for_its_disk_loses_events(world: World) -> None:
    """The control, and last: ClickHouse may hold by then what Postgres has lost."""
    with psycopg.connect(world.settings.postgres_url, autocommit=True) as postgres:
        postgres.execute("alter system set synchronous_commit = off")
        postgres.execute("alter system set wal_writer_delay = '10s'")
        postgres.execute("alter system set wal_writer_flush_after = '1GB'")
        postgres.execute("select pg_reload_conf()")
    storm = Storm(world, first_viewer=4_000_000)
    storm.rage(world.processes["postgres"], kills=1)
    with pytest.raises(AssertionError, match="stored"):
        storm.check()
