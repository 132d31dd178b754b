"""Questions to ClickHouse that are answered together: many of them cost little more than one."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from itertools import islice
from typing import Generic, TypeVar

from api.metrics import STORE_CROWDED
from api.stores import ClickHouse, StoreUnavailableError

Q = TypeVar("Q")
K = TypeVar("K")
A = TypeVar("A")

# Between two statements of a kind that are wanted by many, as a share of the time the first took.
REST_OF_STATEMENT = 0.25

# Answers questions of one kind, in their order, within the time (seconds).
Work = Callable[[Sequence[Q], K, float], Awaitable[Sequence[A]]]


class Asked(Generic[Q, K, A]):
    """A question that waits for the statement it will be part of."""

    def __init__(self, question: Q, kind: K) -> None:
        self.question = question
        self.kind = kind
        self.asked_at = time.monotonic()
        self.answer: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        self.giving_up: asyncio.TimerHandle | None = None

    def fail(self, exc: Exception) -> None:
        """Tell whoever waits; each gets an error of their own, since a traceback grows."""
        if self.answer.done():
            return
        if isinstance(exc, StoreUnavailableError):
            own = StoreUnavailableError(exc.store)
            own.__cause__ = exc
            exc = own
        self.answer.set_exception(exc)


class Gathering(Generic[Q, K, A]):
    """
    Gathers questions of a kind while one statement of that kind runs, and asks them in the next.

    A question that meets nobody is asked at once, alone. After a statement that was shared, or that
    others waited for, the next of its kind begins a part of its time later: whoever got an answer
    and asks again then goes along, and a crowd is not answered one by one at the price of each.
    Whoever leaves cancels nobody. At most `waiting_most` wait, each for at most `wait_seconds` of
    the client's.
    """

    def __init__(
        self,
        clickhouse: ClickHouse,
        work: Work[Q, K, A],
        *,
        together_most: int,
        waiting_most: int,
    ) -> None:
        self._clickhouse = clickhouse
        self._work = work
        self._together_most = together_most
        self._waiting_most = waiting_most
        # In order of arrival. A kind is here as long as somebody asks for it.
        self._queues: dict[K, deque[Asked[Q, K, A]]] = {}
        self._waiting = 0
        self._askers: set[asyncio.Task[None]] = set()

    async def ask(self, question: Q, kind: K) -> A:
        """
        Return the answer; raises `StoreUnavailableError`.

        Only questions of one `kind` are asked together.
        """
        store = self._clickhouse.breaker.store
        if self._clickhouse.breaker.is_refusing:
            raise StoreUnavailableError(store)
        if self._waiting >= self._waiting_most:
            STORE_CROWDED.labels(store).inc()
            raise StoreUnavailableError(store)
        asked = Asked[Q, K, A](question, kind)
        if kind not in self._queues:
            self._queues[kind] = deque()
            asker = asyncio.create_task(self._ask_all(kind))
            self._askers.add(asker)
            asker.add_done_callback(self._askers.discard)
        self._queues[kind].append(asked)
        self._waiting += 1
        asked.giving_up = asyncio.get_running_loop().call_later(
            self._clickhouse.wait_seconds, self._give_up, asked
        )
        try:
            return await asked.answer
        finally:
            self._forget(asked)

    async def _ask_all(self, kind: K) -> None:
        """Ask what waits of a kind, as much at a time as may be asked together, until none does."""
        queue = self._queues[kind]
        try:
            while queue:
                async with self._clickhouse.place():
                    began_at = time.monotonic()
                    together = self._next(queue)
                    if together:
                        await self._answer(together)
                if queue or len(together) > 1:
                    await asyncio.sleep(REST_OF_STATEMENT * (time.monotonic() - began_at))
        finally:
            del self._queues[kind]

    async def _answer(self, together: Sequence[Asked[Q, K, A]]) -> None:
        waited = time.monotonic() - min(asked.asked_at for asked in together)
        try:
            answers = await self._work(
                [asked.question for asked in together],
                together[0].kind,
                self._clickhouse.timeout_seconds - waited,
            )
            for asked, answer in zip(together, answers, strict=True):
                if not asked.answer.done():
                    asked.answer.set_result(answer)
        except Exception as exc:  # whatever it is, it is for those who wait
            for asked in together:
                asked.fail(exc)

    def _next(self, queue: deque[Asked[Q, K, A]]) -> list[Asked[Q, K, A]]:
        """Take the first of those who wait."""
        together = list(islice(queue, self._together_most))
        for asked in together:
            self._forget(asked)
        return together

    def _forget(self, asked: Asked[Q, K, A]) -> None:
        if asked.giving_up is not None:
            asked.giving_up.cancel()
        queue = self._queues.get(asked.kind)
        if queue is not None and asked in queue:
            queue.remove(asked)
            self._waiting -= 1

    def _give_up(self, asked: Asked[Q, K, A]) -> None:
        """Tell that no place was free in time; the circuit hears nothing, as it is not ill."""
        self._forget(asked)
        STORE_CROWDED.labels(self._clickhouse.breaker.store).inc()
        asked.fail(StoreUnavailableError(self._clickhouse.breaker.store))
