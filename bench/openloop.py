"""
A client in a process of its own that sends requests at given times, whether or not the ones before
were answered: `python -m bench.openloop PLAN OUTCOMES`.

A latency counts from when a request was to be sent, so what waits because the server, or this
client, is slow waits in the figures too. Says `ready`, and begins when told to on stdin.
"""

from __future__ import annotations

import asyncio
import gc
import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import aiohttp
import msgspec
import uvloop
from msgspec import Struct

CONNECTIONS_OPENED = 32  # before the clock starts (count)

# What stands for a status where there was none.
TIMED_OUT = -1
NOT_ANSWERED = 0


class Request(Struct, frozen=True, array_like=True):
    """What to send, as which viewer, when (seconds from the beginning)."""

    at_seconds: float
    token: str
    body: bytes


class Plan(Struct, frozen=True):
    """Requests in order of time, and the bounds of the client."""

    url: str
    warm_up_url: str
    in_flight_max: int
    timeout_seconds: float
    requests: list[Request]


class Outcome(Struct, frozen=True, array_like=True):
    """What became of a request; latency from its planned time, lateness of its sending (ms)."""

    status: int
    latency_ms: float
    late_ms: float
    received: int = 0
    deduped: int = 0


class Outcomes(Struct, frozen=True):
    """One per request, in their order; the client's own processor time (seconds)."""

    outcomes: list[Outcome]
    cpu_seconds: float
    seconds: float


class Answer(Struct, frozen=True):
    """The part of an answer that is looked at."""

    received: int
    deduped: int


async def send(
    session: aiohttp.ClientSession, url: str, request: Request, began: float, late_ms: float
) -> Outcome:
    """Send one request and look at its answer; raises nothing."""
    received = deduped = 0
    headers = {"Authorization": f"Bearer {request.token}", "Content-Type": "application/json"}
    try:
        async with session.post(url, data=request.body, headers=headers) as response:
            body = await response.read()
            status = response.status
        if status == 202:
            answer = msgspec.json.decode(body, type=Answer)
            received, deduped = answer.received, answer.deduped
    except TimeoutError:
        status = TIMED_OUT
    except (aiohttp.ClientError, OSError, msgspec.MsgspecError):
        status = NOT_ANSWERED
    latency_ms = (time.perf_counter() - began - request.at_seconds) * 1000
    return Outcome(status, latency_ms, late_ms, received, deduped)


async def send_all(plan: Plan) -> tuple[list[Outcome], float]:
    """Send everything at its time; returns outcomes, and the seconds it took."""
    connector = aiohttp.TCPConnector(limit=plan.in_flight_max, keepalive_timeout=60)
    timeout = aiohttp.ClientTimeout(total=plan.timeout_seconds)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:

        async def warm_up() -> None:
            async with session.get(plan.warm_up_url) as response:
                await response.read()

        await asyncio.gather(*(warm_up() for _ in range(CONNECTIONS_OPENED)))
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)

        free = asyncio.Semaphore(plan.in_flight_max)

        async def run(request: Request, late_ms: float) -> Outcome:
            try:
                return await send(session, plan.url, request, began, late_ms)
            finally:
                free.release()

        tasks: list[asyncio.Task[Outcome]] = []
        began = time.perf_counter()
        for request in plan.requests:
            ahead = began + request.at_seconds - time.perf_counter()
            if ahead > 0:
                await asyncio.sleep(ahead)
            await free.acquire()
            late_ms = (time.perf_counter() - began - request.at_seconds) * 1000
            tasks.append(asyncio.create_task(run(request, late_ms)))
        outcomes = await asyncio.gather(*tasks)
        return outcomes, time.perf_counter() - began


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
    before = cpu_seconds()
    outcomes, seconds = uvloop.run(send_all(plan))
    found = Outcomes(outcomes, cpu_seconds() - before, seconds)
    outcomes_path.write_bytes(msgspec.msgpack.encode(found))


if __name__ == "__main__":
    main(sys.argv[1:])
