"""Postgres that is slow, full, cut off or restarted: refused in bounded time, never piled up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import psycopg
import pytest
import redis
import structlog.testing
from prometheus_client import REGISTRY

from api.counters.store import CounterStore
from api.engagement.statements import SQL
from api.settings import Settings
from api.stack.ports import free_port
from api.stores import (
    POSTGRES_FAILURES_TO_OPEN,
    POSTGRES_OPEN_SECONDS,
    Breaker,
    Postgres,
    RefusedError,
    StatementError,
    StoreUnavailableError,
)
from tests.api.conftest import Api, Token, World, problem_of, serving
from tests.api.proxy import Proxy
from tests.conftest import settings_on

NAP = "select pg_sleep(%(seconds)s)"
ANSWER = "select 42 as answer, %(note)s::jsonb as note"


@pytest.fixture
async def line(shared_postgres_url: str) -> AsyncIterator[Proxy]:
    """A line to Postgres that can be cut or slowed down."""
    async with Proxy(shared_postgres_url, free_port()) as proxy:
        yield proxy


@asynccontextmanager
async def connected(url: str, **given: Any) -> AsyncIterator[Postgres]:
    """The store, at an address."""
    postgres = Postgres(settings_on(postgres_url=url, **given))
    await postgres.open()
    yield postgres
    await postgres.close()


async def answers(postgres: Postgres) -> bool:
    """Say whether a statement comes through."""
    try:
        rows = await postgres.rows(ANSWER, {"note": '{"a": [1, null]}'})
    except StoreUnavailableError:
        return False
    return rows == [{"answer": 42, "note": {"a": [1, None]}}]


async def test_each_statement_is_committed(shared_postgres_url: str) -> None:
    async with connected(shared_postgres_url) as postgres:
        assert await answers(postgres)
        await postgres.rows("insert into app.users (id) values (%(id)s)", {"id": 7})
        found = await postgres.rows("select count(*) as n from app.users where id = 7", {})
        assert found == [{"n": 1}]


@pytest.mark.parametrize(
    "note", ["a\0b", '"\\u0000"', '"\\ud800"', "\ud800", "1e1000000", "[" * 100_000, "{"]
)
async def test_what_cannot_be_stored_is_the_inputs_fault(
    shared_postgres_url: str, note: str
) -> None:
    async with connected(shared_postgres_url) as postgres:
        for _ in range(POSTGRES_FAILURES_TO_OPEN + 1):
            with pytest.raises(RefusedError) as refused:
                await postgres.rows(ANSWER, {"note": note})
            assert refused.value.code == "NV400"
        assert await answers(postgres)  # and no circuit has opened


WRONG = {
    "an assertion": "select app.wrong('assertion', %(n)s)",
    "a constraint": "insert into app.videos (id, creator_id) values (1, %(n)s)",
    "a cast": "select app.wrong('cast', %(n)s)",
    "a cast to a smaller number": "select app.wrong('smaller', %(n)s)",
    "a cast in SQL": "select app.wrong_in_sql(%(n)s::text)",
}


@pytest.mark.parametrize("query", WRONG.values(), ids=WRONG)
async def test_a_statement_of_ours_that_is_wrong_is_our_fault_and_not_postgres(
    postgres_url: str, query: str
) -> None:
    """No circuit opens, nobody is told that their input is bad, and the log knows where to look."""
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute(
            """
            create function app.wrong(kind text, n bigint) returns integer language plpgsql as $$
            begin
                assert kind <> 'assertion', 'never';
                return case kind when 'cast' then (n || 'x')::integer else (n * 10000000000) end;
            end $$;
            create function app.wrong_in_sql(n text) returns integer language sql volatile as $$
                select (n || 'x')::integer from pg_class
            $$
            """
        )
    async with connected(postgres_url) as postgres:
        with structlog.testing.capture_logs() as logs:
            for _ in range(POSTGRES_FAILURES_TO_OPEN + 1):
                with pytest.raises(StatementError):
                    await postgres.rows(query, {"n": 77})
        assert await answers(postgres)
    name = query.partition("app.")[2].partition("(")[0].strip()
    assert {(log["event"], log["log_level"], log["statement"]) for log in logs} == {
        ("statement_failed", "error", f"app.{name}")
    }


async def test_more_than_may_wait_are_refused_at_once(shared_postgres_url: str) -> None:
    async with connected(
        shared_postgres_url, postgres_pool_max=2, postgres_waiting_max=3
    ) as postgres:
        await asyncio.gather(*(postgres.rows(NAP, {"seconds": 0.1}) for _ in range(2)))
        naps = [asyncio.create_task(postgres.rows(NAP, {"seconds": 0.5})) for _ in range(40)]
        done, _ = await asyncio.wait(naps, return_when=asyncio.FIRST_COMPLETED)
        # Those that found the queue full, before any of those in it could be done.
        assert done
        assert all(isinstance(nap.exception(), StoreUnavailableError) for nap in done)
        outcomes = await asyncio.gather(*naps, return_exceptions=True)
        served = [rows for rows in outcomes if isinstance(rows, list)]
        assert len(served) == 2 + 3
        assert await answers(postgres)  # a full queue opens no circuit


async def test_a_slow_statement_ends_and_its_connection_lives_on(shared_postgres_url: str) -> None:
    async with connected(
        shared_postgres_url, postgres_timeout_ms=300, postgres_pool_max=1
    ) as postgres:
        backend = await postgres.rows("select pg_backend_pid() as pid", {})
        with pytest.raises(StoreUnavailableError):
            await postgres.rows(NAP, {"seconds": 30})
        assert await postgres.rows("select pg_backend_pid() as pid", {}) == backend


async def test_a_server_that_does_not_answer_is_not_waited_for(line: Proxy) -> None:
    async with connected(line.url, postgres_timeout_ms=300, postgres_pool_max=1) as postgres:
        assert await answers(postgres)
        line.slow(60)
        started = time.monotonic()
        assert not await answers(postgres)
        assert time.monotonic() - started < 5  # the line is silent for 60
        line.mend()
        assert await eventually(postgres)


async def test_connections_that_ended_while_idle_are_nobodys_failure(
    shared_postgres_url: str,
) -> None:
    async with connected(shared_postgres_url, postgres_pool_max=4) as postgres:
        await asyncio.gather(*(postgres.rows(NAP, {"seconds": 0.1}) for _ in range(4)))
        with psycopg.connect(shared_postgres_url, autocommit=True) as admin:
            admin.execute(
                "select pg_terminate_backend(pid, 5000) from pg_stat_activity "
                "where application_name = 'nova-api' and datname = current_database()"
            )
        assert all(await asyncio.gather(*(answers(postgres) for _ in range(4))))


async def test_the_circuit_opens_while_postgres_is_away_and_closes_again(line: Proxy) -> None:
    async with connected(line.url, postgres_timeout_ms=200) as postgres:
        assert await answers(postgres)
        line.cut()
        for _ in range(POSTGRES_FAILURES_TO_OPEN):
            assert not await answers(postgres)
        assert postgres.breaker.is_refusing
        line.mend()
        assert not await answers(postgres)  # left alone for a while
        assert await eventually(postgres)


async def eventually(postgres: Postgres) -> bool:
    """Say whether statements come through again, after the circuit's time."""
    for _ in range(50):
        await asyncio.sleep(POSTGRES_OPEN_SECONDS / 5)
        if await answers(postgres):
            return True
    return False


# ---------- through HTTP


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what must come."""
    for _ in range(3_000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it has not come")


def batch(world: World, number: int) -> dict[str, Any]:
    """Ten events that no other number has."""
    noon = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    times = [(noon - timedelta(seconds=10 * number + n)).isoformat() for n in range(10)]
    common = {"item_id": world.video, "item_type": "video", "device": "x", "app_ver": "1.0.0"}
    return {"events": [common | {"event_time": time, "action": "view"} for time in times]}


async def test_without_postgres_every_write_is_a_503(
    storing: Settings, world: World, bearer: Token
) -> None:
    away = msgspec.structs.replace(
        storing, postgres_url="postgresql://nobody@127.0.0.1:1/nova", postgres_timeout_ms=200
    )
    video, me = f"/api/v1/reels/{world.video}", bearer(world.viewer)
    watch = {"completion_percent": 1, "watch_ms": 1}
    async with serving(away) as api:
        for method, address, body in (
            ("POST", "/api/v1/events", batch(world, 0)),
            ("POST", f"{video}/like", None),
            ("DELETE", f"{video}/like", None),
            ("POST", f"{video}/share", {"share_target": "mail"}),
            ("POST", f"{video}/comments", {"body": "x"}),
            ("GET", f"{video}/comments", None),
            ("DELETE", f"{video}/comments/1", None),
            ("POST", f"{video}/watch", watch),
            ("POST", "/api/v1/reels/watch", {"watches": [watch | {"video_id": 1}]}),
            ("POST", f"{video}/not-interested", None),
            ("POST", f"/api/v1/users/{world.other}/follow", None),
            ("DELETE", f"/api/v1/users/{world.other}/block", None),
            ("POST", "/api/v1/posts", {"body": "x"}),
            ("DELETE", f"/api/v1/posts/{world.post}", None),
        ):
            response = await api.request(method, address, headers=me, json=body)
            problem_of(response, 503, "unavailable")
            assert int(response.headers["retry-after"]) >= 1
            assert "ostgres" not in response.text
            assert ("acknowledged" in response.text) == (method != "GET")
        # What is wrong is wrong, whoever is away.
        bad = await api.post("/api/v1/events", headers=me, json={"events": [1]})
        problem_of(bad, 400, "invalid-request", "events[0]")


async def test_what_is_acknowledged_is_there_however_the_line_is_cut(
    storing: Settings, world: World, bearer: Token, line: Proxy
) -> None:
    """And what is refused may be sent again, whether or not it was stored."""
    fragile = msgspec.structs.replace(storing, postgres_url=line.url, postgres_timeout_ms=2_000)
    acknowledged: list[int] = []
    refused: list[int] = []
    me = bearer(world.viewer)

    async def client(api: Api, first: int) -> None:
        for number in range(first, first + 25):
            while number not in acknowledged:
                response = await api.post("/api/v1/events", headers=me, json=batch(world, number))
                if response.status_code == 202:
                    assert world.events(user_id=world.viewer) >= 10 * (len(acknowledged) + 1)
                    acknowledged.append(number)
                else:
                    problem_of(response, 503, "unavailable")
                    refused.append(number)
                    await asyncio.sleep(0.05)

    async with serving(fragile) as api:
        clients = asyncio.gather(*(client(api, 25 * n) for n in range(4)))
        for cut in (1, 2):
            await until(lambda cut=cut: len(acknowledged) >= 15 * cut)
            already = len(refused)
            line.cut()
            await until(lambda already=already: len(refused) > already)
            line.mend()
        await clients
    assert world.events(user_id=world.viewer) == 1_000
    views = "select views from app.video_engagement where video_id = %s"
    assert world.one(views, world.video) == 1_000


async def test_a_full_pool_refuses_at_once_and_serves_who_waits(
    storing: Settings, world: World, bearer: Token, shared_postgres_url: str
) -> None:
    small = msgspec.structs.replace(storing, postgres_pool_max=2, postgres_waiting_max=3)
    async with serving(small) as api:

        async def like() -> int:
            response = await api.post(
                f"/api/v1/reels/{world.video}/like", headers=bearer(world.viewer)
            )
            if response.status_code == 503:
                problem_of(response, 503, "unavailable")
                assert int(response.headers["retry-after"]) >= 1
            return response.status_code

        assert await like() == 200
        with psycopg.connect(shared_postgres_url) as blocker:
            blocker.execute("lock table app.likes")
            likes = [asyncio.create_task(like()) for _ in range(40)]
            # Nobody can be served before the lock is gone, so these are refused, all but five.
            await until(lambda: sum(task.done() for task in likes) >= 35)
            assert {task.result() for task in likes if task.done()} == {503}
        statuses = await asyncio.gather(*likes)
        assert statuses.count(200) in (4, 5)  # the second connection may come late
        assert await like() == 200


async def test_who_hangs_up_does_not_undo_a_write(
    storing: Settings, world: World, bearer: Token, shared_postgres_url: str
) -> None:
    """What follows from it follows too, and shutting down waits for it."""
    with redis.Redis.from_url(storing.redis_url) as client:
        async with serving(storing) as api:
            with psycopg.connect(shared_postgres_url) as blocker:
                blocker.execute("lock table app.likes")
                like = asyncio.create_task(
                    api.post(f"/api/v1/reels/{world.video}/like", headers=bearer(world.viewer))
                )
                waiting = (
                    "select count(*) from pg_locks where not granted and relation = %s::regclass"
                )
                await until(lambda: world.one(waiting, "app.likes") > 0)
                like.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await like
        assert world.events(action="like") == 1
        assert (
            client.exists(f"counts:v1:video:{world.video}", f"touched:v1:{{{world.viewer}}}") == 2
        )


async def test_without_redis_writes_are_taken(
    storing: Settings, world: World, bearer: Token
) -> None:
    alone = msgspec.structs.replace(storing, redis_url="redis://127.0.0.1:1/0")
    async with serving(alone) as api:
        response = await api.post(f"/api/v1/reels/{world.video}/like", headers=bearer(world.viewer))
        assert response.json() == {"like_count": 1, "liked": True}
        response = await api.post(
            "/api/v1/events", headers=bearer(world.viewer), json=batch(world, 0)
        )
        assert response.json() == {"received": 10, "deduped": 0}


async def test_a_statement_that_breaks_is_a_500_and_the_next_is_served(
    storing: Settings, world: World, bearer: Token, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = "insert into app.likes (user_id) values (%(viewer_id)s)"
    async with serving(storing) as api:
        address = f"/api/v1/reels/{world.video}/like"
        monkeypatch.setitem(SQL, "like_item", broken)
        for _ in range(POSTGRES_FAILURES_TO_OPEN + 1):
            response = await api.post(address, headers=bearer(world.viewer))
            problem_of(response, 500, "internal-error")
            assert "likes" not in response.text
        monkeypatch.undo()
        response = await api.post(address, headers=bearer(world.viewer))
        assert response.json() == {"like_count": 1, "liked": True}


async def test_an_effect_that_breaks_is_ours_not_the_clients(
    writing: Api, world: World, bearer: Token, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any) -> None:
        raise RuntimeError("broken")

    def failed() -> float:
        return REGISTRY.get_sample_value("nova_write_effects_failed_total") or 0

    monkeypatch.setattr(CounterStore, "keep", broken)
    before = failed()
    response = await writing.post(f"/api/v1/reels/{world.video}/like", headers=bearer(world.viewer))
    assert response.json() == {"like_count": 1, "liked": True}
    assert failed() == before + 1


async def test_writes_count_towards_the_limit(
    storing: Settings, world: World, bearer: Token
) -> None:
    async with serving(msgspec.structs.replace(storing, rate_limit_per_minute=2)) as api:
        address, me = "/api/v1/events", bearer(world.viewer)
        for number in range(2):
            response = await api.post(address, headers=me, json=batch(world, number))
            assert response.status_code == 202
        refused = await api.post(address, headers=me, json=batch(world, 2))
        problem_of(refused, 429, "too-many-requests")
        assert int(refused.headers["retry-after"]) >= 1
        assert world.events() == 20


async def test_a_call_that_was_abandoned_tells_the_circuit_nothing() -> None:
    """Neither that the store is well again, nor that it is not."""

    async def fails() -> None:
        raise OSError

    async def succeeds() -> None:
        return

    async def abandoned(breaker: Breaker) -> None:
        call = asyncio.create_task(breaker.run(lambda: asyncio.sleep(60), 60))
        await asyncio.sleep(0.01)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    breaker = Breaker("store", failures_to_open=3, open_seconds=0.1)
    for _ in range(3):
        assert not breaker.is_refusing
        await abandoned(breaker)
        with pytest.raises(StoreUnavailableError):
            await breaker.run(fails, 1)
    assert breaker.is_refusing

    await asyncio.sleep(0.2)
    await abandoned(breaker)  # the probe
    with pytest.raises(StoreUnavailableError):
        await breaker.run(fails, 1)
    assert breaker.is_refusing  # one failure opens it again: it was not closed

    await asyncio.sleep(0.2)
    await breaker.run(succeeds, 1)
    assert not breaker.is_refusing
