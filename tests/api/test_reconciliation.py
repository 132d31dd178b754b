"""Reconciliation on real stores: what a lost message leaves behind is found, repaired and told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import psycopg
import pytest
import redis
import structlog
from structlog.testing import LogCapture

from api.counters.counts import ItemCounts, ItemType, keep_calls, key_of, unpack
from api.counters.statements import LUA
from api.serve import environment_of
from api.settings import Settings
from api.stack.ports import free_port
from api.workers import reconciliation
from api.workers.reconciliation import CURSORS_KEY, REPORT_KEY, Cursor, Reconciliation, Report
from tests.conftest import settings_on

VIDEO = 2**53 + 1
POST = VIDEO  # the same number: what is a video's must not reach the post
QUIET = 20  # rounds without grace until everything settled has been compared


@pytest.fixture
def settings(postgres_url: str, redis_url: str) -> Settings:
    """No ClickHouse: nothing here reads it."""
    return settings_on(postgres_url=postgres_url, redis_url=redis_url)


class World:
    """Counters on both sides, as writes leave them."""

    def __init__(self, postgres: psycopg.Connection[Any], client: redis.Redis) -> None:
        self.postgres = postgres
        self.redis = client
        self.keep = client.register_script(LUA["keep_counts"])
        postgres.execute("insert into app.users (id) values (1)")
        for item in range(VIDEO, VIDEO + 60):
            postgres.execute("insert into app.videos (id, creator_id) values (%s, 1)", [item])
        postgres.execute(
            "insert into app.posts (id, author_id, body) values (%s, 1, 'hello')", [POST]
        )

    def write(self, likes: int, *, item: int = VIDEO, of_type: ItemType = "video") -> ItemCounts:
        """Change the likes of an item in Postgres, and tell nobody."""
        row = self.postgres.execute(
            f"""
            insert into app.{of_type}_engagement ({of_type}_id, likes) values (%s, %s)
            on conflict ({of_type}_id) do update set likes = excluded.likes
            returning _version
            """,
            [item, likes],
        ).fetchone()
        assert row is not None
        return ItemCounts(of_type, item, row[0], likes=likes)

    def tell(self, *counts: ItemCounts) -> None:
        """Bring counters to Redis, as a write does."""
        for keys, args in keep_calls(counts, 60):
            self.keep(keys=keys, args=args)

    def likes(self, item: int = VIDEO, of_type: ItemType = "video") -> int | None:
        """What Redis says."""
        value = self.redis.get(key_of(of_type, item))
        return unpack(of_type, item, value).likes if value else None

    def told(self, of_type: ItemType = "video") -> Report:
        """What the worker reported."""
        return msgspec.json.decode(self.redis.hget(REPORT_KEY, of_type), type=Report)


@pytest.fixture
def world(settings: Settings) -> Iterator[World]:
    """A few videos and a post, and nothing counted yet."""
    with (
        psycopg.connect(settings.postgres_url, autocommit=True) as postgres,
        redis.Redis.from_url(settings.redis_url) as client,
    ):
        yield World(postgres, client)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A write has told Redis at once, or never will."""
    monkeypatch.setattr(reconciliation, "GRACE_SECONDS", 0.0)
    monkeypatch.setattr(reconciliation, "EVERY_SECONDS", 0.0)
    monkeypatch.setattr(reconciliation, "WALK_EVERY_SECONDS", 0.0)


@pytest.fixture
def standing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody walks through Redis: only what changed in Postgres is compared."""

    def stay(worker: Reconciliation, *_: Any) -> int:
        worker.is_walk_urgent = False
        return 0

    monkeypatch.setattr(Reconciliation, "walk", stay)


@pytest.fixture
def logged() -> LogCapture:
    """What the worker of this test says."""
    return LogCapture()


@pytest.fixture
def walker(
    settings: Settings, world: World, hasty: None, logged: LogCapture
) -> Iterator[Reconciliation]:
    """A worker that has begun, and compared everything so far."""
    # A class of its own: other tests configure which levels are heard.
    log = structlog.wrap_logger(
        structlog.PrintLogger(), processors=[logged], wrapper_class=structlog.BoundLogger
    )
    with Reconciliation(settings, log=log) as worker:
        settle(worker)
        yield worker


@pytest.fixture
def worker(standing: None, walker: Reconciliation) -> Reconciliation:
    """The same, without the walk, which would find everything too."""
    return walker


def settle(worker: Reconciliation) -> None:
    """Run rounds until they find nothing more to do."""
    for _ in range(QUIET):
        if not worker.run_once().has_more:
            return
    pytest.fail("there is always more")


# ---------- what is repaired


def test_a_lost_message_is_repaired_and_told(
    worker: Reconciliation, world: World, logged: LogCapture
) -> None:
    world.tell(world.write(1))
    world.write(2)  # committed, and Redis never heard of it
    settle(worker)
    assert world.likes() == 2
    report = world.told()
    assert (report.drifted, report.repaired, report.ahead) == (1, 1, 0)
    assert report.compared >= 1
    assert report.drifted_at
    [line] = [line for line in logged.entries if line["event"] == "counters had drifted"]
    assert line["examples"] == [str(VIDEO)]
    assert line["drifted"] == line["repaired"] == 1
    assert world.told("post").drifted == 0


def test_what_redis_knows_is_no_drift(worker: Reconciliation, world: World) -> None:
    for likes in (1, 2, 1):
        world.tell(world.write(likes))
    settle(worker)
    assert world.likes() == 1
    assert (world.told().drifted, world.told().repaired) == (0, 0)


def test_what_redis_does_not_hold_stays_away(worker: Reconciliation, world: World) -> None:
    """The next page reads it from Postgres; items nobody looks at need no memory."""
    world.write(5)
    settle(worker)
    assert world.likes() is None
    assert world.told().compared >= 1
    assert world.told().drifted == 0


def test_a_write_that_may_still_be_on_its_way_is_no_drift(
    worker: Reconciliation, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.tell(world.write(1))
    settle(worker)
    before = worker.settled()
    missed = world.write(2)
    monkeypatch.setattr(reconciliation, "GRACE_SECONDS", 3_600.0)
    worker.run_once()
    assert (world.likes(), world.told().drifted) == (1, 0)
    with monkeypatch.context() as patch:  # what settled long ago is compared, and nothing else
        patch.setattr(worker, "settled", lambda: before)
        worker.run_once()
    assert (world.likes(), world.told().drifted) == (1, 0)
    world.tell(missed)
    monkeypatch.setattr(reconciliation, "GRACE_SECONDS", 0.0)
    settle(worker)
    assert (world.likes(), world.told().drifted) == (2, 0)


def test_a_video_and_a_post_with_one_id_do_not_mix(worker: Reconciliation, world: World) -> None:
    world.tell(world.write(1), world.write(10, of_type="post"))
    world.write(11, of_type="post")
    settle(worker)
    assert (world.likes(), world.likes(POST, "post")) == (1, 11)
    assert (world.told("video").drifted, world.told("post").drifted) == (0, 1)


def test_one_large_transaction_is_compared_in_many_rounds(
    worker: Reconciliation, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciliation, "CHANGES_AT_ONCE", 7)
    items = range(VIDEO, VIDEO + 60)
    world.tell(*(world.write(1, item=item) for item in items))
    with world.postgres.transaction():
        for item in items:
            world.write(2, item=item)
    settle(worker)
    assert {world.likes(item) for item in items} == {2}
    assert world.told().drifted == world.told().repaired == 60


def test_a_commit_against_the_order_of_beginning_is_not_passed_over(
    worker: Reconciliation, world: World, settings: Settings
) -> None:
    world.tell(world.write(1), world.write(1, item=VIDEO + 1))
    with psycopg.connect(settings.postgres_url) as slow:
        slow.execute("update app.video_engagement set likes = 2 where video_id = %s", [VIDEO])
        world.write(2, item=VIDEO + 1)  # began later, commits first
        settle(worker)
        assert (world.likes(), world.likes(VIDEO + 1)) == (1, 1)  # held back
        slow.commit()
    settle(worker)
    assert (world.likes(), world.likes(VIDEO + 1)) == (2, 2)


# ---------- after an absence


def test_drift_made_while_nobody_looked_is_found(
    worker: Reconciliation, world: World, settings: Settings
) -> None:
    world.tell(world.write(1))
    settle(worker)
    worker.disconnect()
    world.write(2)
    with Reconciliation(settings) as another:
        settle(another)
    assert world.likes() == 2
    assert world.told().drifted == 1


def test_an_emptied_redis_is_filled_by_reading_and_watched_on(
    worker: Reconciliation, world: World
) -> None:
    world.tell(world.write(1))
    settle(worker)
    world.redis.flushall()
    settle(worker)
    assert world.likes() is None
    world.tell(world.write(2))
    world.write(3)
    settle(worker)
    assert world.likes() == 3
    assert world.redis.hlen(CURSORS_KEY) == 2


def test_a_redis_that_went_back_is_compared_from_where_it_was(
    worker: Reconciliation, world: World
) -> None:
    """Its cursors went back with its counters: ours know too much."""
    world.tell(world.write(1))
    settle(worker)
    earlier = {key: world.redis.dump(key) for key in (key_of("video", VIDEO), CURSORS_KEY)}
    world.tell(world.write(2))
    settle(worker)
    for key, value in earlier.items():
        world.redis.restore(key, 0, value, replace=True)
    assert world.likes() == 1
    settle(worker)
    assert world.likes() == 2


def test_without_a_cursor_the_walk_finds_it(
    walker: Reconciliation, world: World, settings: Settings
) -> None:
    world.tell(world.write(1))
    world.write(2)
    walker.disconnect()
    world.redis.delete(CURSORS_KEY)
    with Reconciliation(settings) as another:
        settle(another)
    assert world.likes() == 2
    assert world.told().repaired == 1


def test_counters_of_a_lost_future_are_dropped(
    walker: Reconciliation, world: World, logged: LogCapture
) -> None:
    """Postgres was put back to an older state: its versions are smaller than those in Redis."""
    one, two = world.write(1), world.write(1, item=VIDEO + 1)
    lost = msgspec.structs.replace(one, version=one.version + 1_000_000, likes=9)
    world.tell(lost, two)
    never = ItemCounts("post", POST, 2**60, likes=7)
    world.tell(never)  # a row that Postgres has no more at all
    for _ in range(3):
        walker.run_once()
    assert world.likes() is None
    assert world.likes(VIDEO + 1) == 1
    assert world.likes(POST, "post") is None
    assert (world.told().ahead, world.told("post").ahead) == (1, 1)
    assert len([line for line in logged.entries if "ahead" in line["event"]]) == 2


def test_a_walk_repairs_nothing_that_is_on_its_way_and_drops_nothing_that_has_moved_on(
    walker: Reconciliation, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.tell(world.write(1))
    settle(walker)
    before = walker.settled()
    world.write(2)
    with monkeypatch.context() as patch:
        patch.setattr(walker, "settled", lambda: before)
        walker.run_once()
    assert (world.likes(), world.told().drifted) == (1, 0)

    key = key_of("video", VIDEO).encode()
    looked_at = world.redis.get(key)
    world.tell(world.write(3))
    walker.drop(world.redis, "video", [(key, looked_at)])
    assert (world.likes(), world.told().ahead) == (3, 0)


@pytest.mark.parametrize("change", [{"source": "another/1/nova"}, {"txid": 2**40}])
def test_another_postgres_is_compared_whole_and_at_once(
    walker: Reconciliation, world: World, change: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciliation, "WALK_AT_ONCE", 1)
    for item in range(VIDEO, VIDEO + 30):
        world.tell(msgspec.structs.replace(world.write(1, item=item), version=2**60, likes=9))
    for of_type, text in world.redis.hgetall(CURSORS_KEY).items():
        cursor = msgspec.json.decode(text, type=Cursor)
        moved = msgspec.structs.replace(cursor, **change)
        world.redis.hset(CURSORS_KEY, of_type, msgspec.json.encode(moved))
    rounds = 0
    while walker.run_once().has_more:
        rounds += 1
    assert rounds > 1
    assert {world.likes(item) for item in range(VIDEO, VIDEO + 30)} == {None}
    assert world.told().ahead == 30


def test_two_workers_harm_nothing(worker: Reconciliation, settings: Settings, world: World) -> None:
    items = range(VIDEO, VIDEO + 60)
    world.tell(*(world.write(1, item=item) for item in items))

    def look() -> None:
        with Reconciliation(settings) as worker:
            for _ in range(30):
                worker.run_once()

    with ThreadPoolExecutor(2) as pool:
        looking = [pool.submit(look) for _ in range(2)]
        for likes in range(2, 5):
            for item in items:
                world.write(likes, item=item)
        for done in looking:
            done.result()
    settle(worker)
    assert {world.likes(item) for item in items} == {4}


# ---------- as a program


def start(settings: Settings) -> subprocess.Popen[bytes]:
    environment = {name: value for name, value in os.environ.items() if name[:5] != "NOVA_"}
    return subprocess.Popen(
        [sys.executable, "-m", "api.workers.reconciliation"],
        env=environment | environment_of(settings),
        stderr=subprocess.PIPE,
    )


def eventually(condition: Callable[[], bool], seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


def test_the_program_repairs_and_ends_when_told(settings: Settings, world: World) -> None:
    world.tell(world.write(1))
    program = start(settings)
    try:
        assert eventually(lambda: bool(world.redis.exists(CURSORS_KEY)))
        world.write(2)
        assert eventually(lambda: world.likes() == 2)
        world.redis.flushall()
        assert eventually(lambda: bool(world.redis.exists(CURSORS_KEY)))
    finally:
        program.send_signal(signal.SIGTERM)
        _, errors = program.communicate(timeout=10)
    assert program.returncode == 0
    assert b"Traceback" not in errors
    assert b"counters had drifted" in errors


@pytest.mark.parametrize("store", ["postgres", "redis"])
def test_the_program_waits_for_a_store_and_ends_meanwhile(
    settings: Settings, store: str, postgres_url: str
) -> None:
    nowhere = {"postgres": "postgresql://nobody@127.0.0.1:{}/x", "redis": "redis://127.0.0.1:{}/0"}
    address = {f"{store}_url": nowhere[store].format(free_port())}
    program = start(msgspec.structs.replace(settings, **address))
    assert program.stderr is not None
    said = b""
    while b"trying again" not in said:
        line = program.stderr.readline()
        assert line, said
        said += line
    program.send_signal(signal.SIGTERM)
    _, errors = program.communicate(timeout=10)
    assert program.returncode == 0
    assert b"Traceback" not in said + errors
