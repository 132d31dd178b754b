"""Reads that a page can do without: what a crowd, a slow and a failing store do to them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from api.optional import FAILURES_TO_OPEN, OptionalReads
from api.stores import StoreUnavailableError
from tests.api.feeds import until

CROWD = 10 * FAILURES_TO_OPEN


async def crowd(reads: OptionalReads[int], read: Callable[[], Awaitable[int]]) -> list[int]:
    """Read as many times at once; returns what came."""
    outcomes = await asyncio.gather(
        *(reads.run(read) for _ in range(CROWD)), return_exceptions=True
    )
    refused = [one for one in outcomes if isinstance(one, BaseException)]
    assert all(isinstance(one, StoreUnavailableError) for one in refused), refused
    return [one for one in outcomes if not isinstance(one, BaseException)]


async def answer() -> int:
    return 42


async def test_a_crowd_is_refused_in_part_and_opens_no_circuit() -> None:
    """Two places, and a store that answers all along: the next caller is answered, too."""
    reads = OptionalReads[int]("test", 2, timeout_seconds=4)
    done = asyncio.Event()

    async def slow() -> int:
        await done.wait()
        return 1

    held = [asyncio.create_task(reads.run(slow)) for _ in range(2)]
    await asyncio.sleep(0)
    assert await crowd(reads, answer) == [], "there was no place"
    assert reads.circuit.is_closed
    done.set()
    assert await asyncio.gather(*held) == [1, 1]
    assert await crowd(reads, answer) == [42] * CROWD, "who waits their turn is answered"


async def test_nobody_waits_behind_late_reads_and_the_store_has_no_more_of_them() -> None:
    reads = OptionalReads[int]("test", 2, timeout_seconds=0.05)
    begun, done = 0, asyncio.Event()

    async def hanging() -> int:
        nonlocal begun
        begun += 1
        await done.wait()
        return 1

    assert await crowd(reads, hanging) == []
    assert begun == 2
    assert reads.circuit.is_closed, "two failures; the others were a crowd"
    never = reads.run(hanging)
    with pytest.raises(StoreUnavailableError):
        never.send(None)  # at once: it does not come to wait
    done.set()
    await reads.close()
    assert await reads.run(answer) == 42


async def test_failures_open_the_circuit_and_give_their_places_back() -> None:
    reads = OptionalReads[int]("test", 1, timeout_seconds=5)

    async def failing() -> int:
        raise OSError

    assert await crowd(reads, failing) == []
    assert reads.circuit.is_refusing
    await until(lambda: not reads.circuit.is_refusing)
    assert await reads.run(answer) == 42
    assert reads.circuit.is_closed
