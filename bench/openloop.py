"""
A load client in a process of its own: `python -m bench.openloop PLAN OUTCOMES`.

Open loop: requests are sent at given times, whether or not the ones before were answered. A latency
counts from when a request was to be sent, so what waits because the server, or this client, is slow
waits in the figures too. Closed loop, when the plan has `clients`: so many connections, each of
which sends the next request when it has its answer, for so many seconds.

Says `ready`, and begins when told to on stdin.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import resource
import sys
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import msgspec
import uvloop
from msgspec import Struct

from bench.lines import NOT_ANSWERED, TIMED_OUT, Line, Server

__all__ = ["NOT_ANSWERED", "TIMED_OUT", "Outcome", "Outcomes", "Plan", "Request"]

CONNECTIONS_OPENED = 32  # before the clock starts (count)
SWEEP_SECONDS = 0.1  # between looks for requests that wait for too long
ACCEPTED = 202
HIT = b'"cache_hit":true'


class Request(Struct, frozen=True, array_like=True, gc=False):
    """
    What to send, as which viewer, when (seconds from the beginning; closed loop: at any time).

    Without a path it goes to the plan's address.
    """

    at_seconds: float
    token: str
    body: bytes
    method: str = "POST"
    path: str = ""


class Plan(Struct, frozen=True):
    """
    Requests in order of time, and the bounds of the client.

    With `clients` the loop is closed, for `seconds`: requests are sent in their order, again and
    again.
    """

    url: str
    warm_up_url: str
    in_flight_max: int
    timeout_seconds: float
    requests: list[Request]
    clients: int = 0
    seconds: float = 0.0


class Outcome(Struct, frozen=True, array_like=True, gc=False):
    """
    What became of a request; latency from its planned time, lateness of its sending (ms).

    `request` is its number in the plan, `is_hit` what a page of a feed said of itself.
    """

    status: int
    latency_ms: float
    late_ms: float
    received: int = 0
    deduped: int = 0
    request: int = 0
    is_hit: bool = False


class Outcomes(Struct, frozen=True):
    """
    What became of the requests, and the client's own processor time (seconds).

    Open loop: one per request, in their order. Closed loop: in the order of the answers.
    """

    outcomes: list[Outcome]
    cpu_seconds: float
    seconds: float


class Answer(Struct, frozen=True):
    """The part of an answer to events that is looked at."""

    received: int
    deduped: int


_decode_answer = msgspec.json.Decoder(Answer).decode


class Sent:
    """One request under way; called with its answer."""

    __slots__ = ("_client", "due_at", "late_ms", "line", "number")

    def __init__(self, client: Client, number: int, due_at: float, line: Line) -> None:
        self._client = client
        self.number = number
        self.due_at = due_at
        self.line = line
        self.late_ms = (time.perf_counter() - due_at) * 1000

    def __call__(self, status: int, body: bytes) -> None:
        """Note the outcome, and let the client go on."""
        latency_ms = (time.perf_counter() - self.due_at) * 1000
        received = deduped = 0
        if status == ACCEPTED and body:
            try:
                answer = _decode_answer(body)
                received, deduped = answer.received, answer.deduped
            except msgspec.MsgspecError:
                status = NOT_ANSWERED
        outcome = Outcome(
            status, latency_ms, self.late_ms, received, deduped, self.number, HIT in body
        )
        self._client.done(self, outcome)


class Client:
    """Connections to one server, and what is under way on them; `done` is told of each answer."""

    def __init__(self, plan: Plan) -> None:
        self._server = Server(plan.url)
        self._requests = plan.requests
        self._timeout_seconds = plan.timeout_seconds
        self.under_way: set[Sent] = set()

    async def open(self, count: int, warm_up_url: str) -> list[Line]:
        """Open connections and ask each for something; raises `SystemExit` when that fails."""
        ask = Server(warm_up_url).request("GET", "", "", b"")

        async def opened() -> Line:
            line = await self._server.connect(self._timeout_seconds)
            if line is None:
                raise SystemExit("the server takes no connections")
            answered: asyncio.Future[int] = asyncio.get_running_loop().create_future()
            line.send(ask, lambda status, _: answered.set_result(status))
            await answered
            return line

        return await asyncio.gather(*(opened() for _ in range(count)))

    async def connect(self) -> Line | None:
        """Open one more connection; None when that fails."""
        return await self._server.connect(self._timeout_seconds)

    def send(self, line: Line, number: int, due_at: float) -> None:
        """Send a request of the plan."""
        one = self._requests[number]
        sent = Sent(self, number, due_at, line)
        self.under_way.add(sent)
        line.send(self._server.request(one.method, one.path, one.token, one.body), sent)

    def done(self, sent: Sent, outcome: Outcome) -> None:
        """Note an outcome; what a loop does then, it says itself."""
        self.under_way.discard(sent)

    async def sweep(self) -> None:
        """Give up what waits for too long, until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            oldest = time.perf_counter() - self._timeout_seconds
            # What was late to be sent has the whole time from then on.
            for sent in [one for one in self.under_way if one.due_at + one.late_ms / 1000 < oldest]:
                sent.line.give_up()


class OpenLoop(Client):
    """Sends each request at its time, on any connection that is free."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self._plan = plan
        self._idle: deque[Line] = deque()
        self._waiting: deque[int] = deque()
        self._lines = 0
        self._connecting: set[asyncio.Task[None]] = set()
        self._began = 0.0
        self._outcomes: dict[int, Outcome] = {}
        self._finished = asyncio.Event()

    async def run(self) -> tuple[list[Outcome], float]:
        """Send everything at its time; returns outcomes, and the seconds it took."""
        plan = self._plan
        opened = min(CONNECTIONS_OPENED, plan.in_flight_max)
        self._idle += await self.open(opened, plan.warm_up_url)
        self._lines = opened
        await told_to_begin()
        sweeping = asyncio.create_task(self.sweep())
        self._began = time.perf_counter()
        for number, request in enumerate(plan.requests):
            ahead = self._began + request.at_seconds - time.perf_counter()
            if ahead > 0:
                await asyncio.sleep(ahead)
            self._waiting.append(number)
            self._go_on()
        if len(self._outcomes) < len(plan.requests):
            await self._finished.wait()
        seconds = time.perf_counter() - self._began
        sweeping.cancel()
        return [self._outcomes[number] for number in range(len(plan.requests))], seconds

    def done(self, sent: Sent, outcome: Outcome) -> None:
        """Note an outcome; the connection is free again."""
        super().done(sent, outcome)
        self._note(outcome)
        self._free(sent.line)

    def _note(self, outcome: Outcome) -> None:
        self._outcomes[outcome.request] = outcome
        if len(self._outcomes) == len(self._plan.requests):
            self._finished.set()

    def _free(self, line: Line) -> None:
        if line.is_open:
            self._idle.append(line)
        else:
            self._lines -= 1
        if self._waiting:
            self._go_on()

    def _go_on(self) -> None:
        """Send what waits, as far as there are connections; open one when there is none."""
        while self._waiting:
            while self._idle and not self._idle[-1].is_open:
                self._idle.pop()
                self._lines -= 1
            if not self._idle:
                if self._lines < self._plan.in_flight_max:
                    self._lines += 1
                    task = asyncio.create_task(self._open_for(self._waiting.popleft()))
                    self._connecting.add(task)
                    task.add_done_callback(self._connecting.discard)
                return
            number = self._waiting.popleft()
            late_seconds = time.perf_counter() - self._due_at(number)
            if late_seconds > self._plan.timeout_seconds:
                # Sent now it would only hold up what can still be answered in time.
                late_ms = late_seconds * 1000
                self._note(Outcome(TIMED_OUT, late_ms, late_ms, request=number))
                continue
            self.send(self._idle.pop(), number, self._due_at(number))

    async def _open_for(self, number: int) -> None:
        """Open a connection for a request; it fails with it."""
        line = await self.connect()
        if line is not None:
            self.send(line, number, self._due_at(number))
            return
        self._lines -= 1
        latency_ms = (time.perf_counter() - self._due_at(number)) * 1000
        self._note(Outcome(NOT_ANSWERED, latency_ms, latency_ms, request=number))

    def _due_at(self, number: int) -> float:
        return self._began + self._plan.requests[number].at_seconds


class ClosedLoop(Client):
    """So many connections, each of which has a request under way all the time."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self._plan = plan
        self._numbers = itertools.cycle(range(len(plan.requests)))
        self._outcomes: list[Outcome] = []
        self._ends_at = 0.0
        self._active = plan.clients
        self._finished = asyncio.Event()

    async def run(self) -> tuple[list[Outcome], float]:
        """Send for the plan's seconds; returns outcomes, and the seconds it took."""
        lines = await self.open(self._plan.clients, self._plan.warm_up_url)
        await told_to_begin()
        sweeping = asyncio.create_task(self.sweep())
        began = time.perf_counter()
        self._ends_at = began + self._plan.seconds
        for line in lines:
            self.send(line, next(self._numbers), time.perf_counter())
        await self._finished.wait()
        seconds = time.perf_counter() - began
        sweeping.cancel()
        return self._outcomes, seconds

    def done(self, sent: Sent, outcome: Outcome) -> None:
        """Note an outcome and send the next request; a connection that closed leaves the loop."""
        super().done(sent, outcome)
        self._outcomes.append(outcome)
        now = time.perf_counter()
        if now < self._ends_at and sent.line.is_open:
            self.send(sent.line, next(self._numbers), now)
            return
        self._active -= 1
        if not self._active:
            self._finished.set()


async def told_to_begin() -> None:
    """Say that everything is there, and wait for a line on stdin."""
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)


async def run(plan: Plan) -> Outcomes:
    """Carry out a plan."""
    loop = ClosedLoop(plan) if plan.clients else OpenLoop(plan)
    before = cpu_seconds()
    outcomes, seconds = await loop.run()
    return Outcomes(outcomes, cpu_seconds() - before, seconds)


def cpu_seconds() -> float:
    """Return the processor time of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main(arguments: Sequence[str]) -> None:
    """Carry out a plan."""
    plan_path, outcomes_path = map(Path, arguments)
    plan = msgspec.msgpack.decode(plan_path.read_bytes(), type=Plan)
    # What was made before the clock starts is not looked through again while it runs.
    gc.freeze()
    outcomes_path.write_bytes(msgspec.msgpack.encode(uvloop.run(run(plan))))


if __name__ == "__main__":
    main(sys.argv[1:])
