"""
A client of Postgres in a process of its own: `python -m bench.direct PLAN OUTCOMES`.

Calls `app.ingest_events` for one batch after the other, as fast as they are answered. Takes the
same plans as `bench.openloop` and begins as it does, told on stdin; `url` is the database's.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import psycopg
from msgspec import Raw, Struct

from bench.openloop import Outcome, Outcomes, cpu_seconds

INGEST = "select received, deduped from app.ingest_events(%s::bigint, %s::jsonb)"
STORED = 202  # as the API would answer


class Call(Struct, frozen=True, array_like=True):
    """One call: whose batch, and its events as JSON."""

    viewer_id: int
    events: bytes


class Calls(Struct, frozen=True):
    """Calls in their order, for one connection."""

    url: str
    calls: list[Call]


class Body(Struct, frozen=True):
    """A request's body, its events left as they are."""

    events: Raw


def main(arguments: Sequence[str]) -> None:
    """Carry out calls."""
    plan_path, outcomes_path = map(Path, arguments)
    plan = msgspec.msgpack.decode(plan_path.read_bytes(), type=Calls)
    gc.freeze()
    outcomes = []
    with psycopg.connect(plan.url, autocommit=True) as connection:
        connection.execute("select 1")
        print("ready", flush=True)
        sys.stdin.readline()
        before, began = cpu_seconds(), time.perf_counter()
        for call in plan.calls:
            sent = time.perf_counter()
            row = connection.execute(
                INGEST, [call.viewer_id, call.events.decode()], prepare=True
            ).fetchone()
            assert row is not None
            latency_ms = (time.perf_counter() - sent) * 1000
            outcomes.append(Outcome(STORED, latency_ms, 0.0, *row))
        seconds = time.perf_counter() - began
    found = Outcomes(outcomes, cpu_seconds() - before, seconds)
    outcomes_path.write_bytes(msgspec.msgpack.encode(found))


if __name__ == "__main__":
    main(sys.argv[1:])
