"""Questions to ClickHouse that are asked together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from api import gathering
from api.gathering import Gathering
from api.stores import ClickHouse, StoreUnavailableError
from tests.conftest import settings_on

TOGETHER = 3
WAITING = 5


class Desk:
    """One place; notes which questions came together, and answers when it is let."""

    def __init__(self, *, wait_ms: int = 20_000) -> None:
        self.clickhouse = ClickHouse(
            settings_on(
                clickhouse_pool_max=1, clickhouse_wait_ms=wait_ms, clickhouse_timeout_ms=60_000
            )
        )
        self.gathering = Gathering[str, int, str](
            self.clickhouse, self._answer, together_most=TOGETHER, waiting_most=WAITING
        )
        self.heard: list[list[str]] = []
        self.gate = asyncio.Event()
        self.error: Exception | None = None
        self.answering_seconds = 0.0

    async def _answer(self, questions: Sequence[str], kind: int, seconds: float) -> list[str]:
        assert 0 < seconds <= 60
        self.heard.append(list(questions))
        await self.gate.wait()
        await asyncio.sleep(self.answering_seconds)
        if self.error is not None:
            raise self.error
        return [f"{question}{kind}" for question in questions]

    async def asked(self, *questions: str, kind: int = 1) -> list[asyncio.Task[str]]:
        """Ask some questions, and go on when each of them waits or is being answered."""
        tasks = [asyncio.create_task(self.gathering.ask(one, kind)) for one in questions]
        await asyncio.sleep(0.01)
        return tasks


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    """A desk whose every question is answered in the end."""
    desk = Desk()
    yield desk
    desk.gate.set()


async def test_who_comes_meanwhile_is_answered_together(desk: Desk) -> None:
    first = await desk.asked("a")
    others = await desk.asked("b", "c", "d", "e")
    assert desk.heard == [["a"]], "nobody waits for others"
    desk.gate.set()
    assert await asyncio.gather(*first, *others) == ["a1", "b1", "c1", "d1", "e1"]
    assert desk.heard == [["a"], ["b", "c", "d"], ["e"]]


async def test_only_what_is_of_one_kind_goes_together(desk: Desk) -> None:
    tasks = await desk.asked("a")
    for question, kind in (("b", 1), ("c", 2), ("d", 1), ("e", 2)):
        tasks += await desk.asked(question, kind=kind)
    desk.gate.set()
    assert await asyncio.gather(*tasks) == ["a1", "b1", "c2", "d1", "e2"]
    assert desk.heard == [["a"], ["c", "e"], ["b", "d"]], "kinds take turns"


async def test_who_asks_again_goes_along(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "REST_OF_STATEMENT", 20)
    desk.answering_seconds = 0.02
    tasks = await desk.asked("a") + await desk.asked("b", "c")
    desk.gate.set()
    await asyncio.gather(*tasks)
    again = await desk.asked("d") + await desk.asked("e")
    assert await asyncio.gather(*again) == ["d1", "e1"]
    assert desk.heard == [["a"], ["b", "c"], ["d", "e"]]


async def test_an_error_reaches_everybody_and_is_over_then(desk: Desk) -> None:
    desk.error = StoreUnavailableError("clickhouse")
    tasks = await desk.asked("a") + await desk.asked("b", "c")
    desk.gate.set()
    errors = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(error) for error in errors] == [StoreUnavailableError] * 3
    assert len(set(map(id, errors))) == 3, "an error that is shared grows"
    desk.error = None
    assert await desk.gathering.ask("d", 1) == "d1"


async def test_whoever_leaves_cancels_nobody(desk: Desk) -> None:
    [first] = await desk.asked("a")
    [second, third] = await desk.asked("b", "c")
    first.cancel()
    second.cancel()
    await asyncio.sleep(0.01)
    desk.gate.set()
    assert await third == "c1"
    assert desk.heard == [["a"], ["c"]]
    assert await desk.gathering.ask("d", 1) == "d1"


async def test_a_crowd_is_refused_and_opens_no_circuit(desk: Desk) -> None:
    tasks = await desk.asked("a") + await desk.asked(*"bcdef")
    with pytest.raises(StoreUnavailableError):
        await desk.gathering.ask("g", 1)
    desk.gate.set()
    assert await asyncio.gather(*tasks) == [f"{one}1" for one in "abcdef"]
    assert desk.clickhouse.breaker.is_closed


async def test_nobody_waits_for_a_place_for_long() -> None:
    desk = Desk(wait_ms=50)
    [first] = await desk.asked("a")
    with pytest.raises(StoreUnavailableError):
        await desk.gathering.ask("b", 1)
    assert desk.clickhouse.breaker.is_closed
    desk.gate.set()
    assert await first == "a1"
    assert desk.heard == [["a"]]


async def test_nobody_asks_while_the_circuit_is_open(desk: Desk) -> None:
    async def fail() -> None:
        raise ConnectionError

    while desk.clickhouse.breaker.is_closed:
        with pytest.raises(StoreUnavailableError):
            await desk.clickhouse.breaker.run(fail, 1)
    with pytest.raises(StoreUnavailableError):
        await desk.gathering.ask("a", 1)
    assert desk.heard == []
