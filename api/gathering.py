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
    Gathers questions while no place is free for a statement, and asks them in one.

    Nobody waits for others: a question that finds a place is asked at once, alone. Whoever leaves
    cancels nobody. At most `waiting_most` wait, each for at most `wait_seconds` of the client's.
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
        self._waiting: deque[Asked[Q, K, A]] = deque()
        # At most as many as statements may run. Counted apart: a task that has looked for the last
        # time is not done yet, and a question must not count on it.
        self._askers: set[asyncio.Task[None]] = set()
        self._asking = 0

    async def ask(self, question: Q, kind: K) -> A:
        """
        Return the answer; raises `StoreUnavailableError`.

        Only questions of one `kind` are asked together.
        """
        store = self._clickhouse.breaker.store
        if self._clickhouse.breaker.is_refusing:
            raise StoreUnavailableError(store)
        if len(self._waiting) >= self._waiting_most:
            STORE_CROWDED.labels(store).inc()
            raise StoreUnavailableError(store)
        asked = Asked[Q, K, A](question, kind)
        self._waiting.append(asked)
        asked.giving_up = asyncio.get_running_loop().call_later(
            self._clickhouse.wait_seconds, self._give_up, asked
        )
        if self._asking < self._clickhouse.places_max:
            self._asking += 1
            asker = asyncio.create_task(self._ask_waiting())
            self._askers.add(asker)
            asker.add_done_callback(self._askers.discard)
        try:
            return await asked.answer
        finally:
            self._forget(asked)

    async def _ask_waiting(self) -> None:
        """Ask everything that waits, as much at a time as may be asked together."""
        try:
            while self._waiting:
                async with self._clickhouse.place():
                    together = self._next()
                    if together:
                        await self._answer(together)
        finally:
            self._asking -= 1

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

    def _next(self) -> list[Asked[Q, K, A]]:
        """Take the questions of the kind that has waited longest, in order of arrival."""
        if not self._waiting:
            return []
        kind = self._waiting[0].kind
        same = (asked for asked in self._waiting if asked.kind == kind)
        together = list(islice(same, self._together_most))
        for asked in together:
            self._forget(asked)
        return together

    def _forget(self, asked: Asked[Q, K, A]) -> None:
        if asked.giving_up is not None:
            asked.giving_up.cancel()
        if asked in self._waiting:
            self._waiting.remove(asked)

    def _give_up(self, asked: Asked[Q, K, A]) -> None:
        """Tell that no place was free in time; the circuit hears nothing, as it is not ill."""
        self._forget(asked)
        STORE_CROWDED.labels(self._clickhouse.breaker.store).inc()
        asked.fail(StoreUnavailableError(self._clickhouse.breaker.store))
