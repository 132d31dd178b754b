"""Writes as clients would send them: each kind alone, and all in the proportions of an app."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from api.settings import Settings
from bench.load import carry_out, plan_of, summed_up, tokens
from bench.openloop import Request
from bench.registry import Benchmark, Goal, Measured, Run
from bench.traffic import Batch, Item, Traffic, items_of, new_viewers

WRITERS = 1_000  # count; at the rates below each stays within the rate limit
RATE = 100.0  # requests per second, of each kind
SECONDS = 15.0
BATCH_EVENTS = 10  # of a batch in the mix (count)
ITEMS = 20_000  # count; of those there are, the ones that are written to

# Requests of an app, by kind (shares of all writes).
MIX: Mapping[str, float] = {
    "events": 0.5,
    "watch": 0.25,
    "like": 0.15,
    "share": 0.04,
    "comment": 0.03,
    "not-interested": 0.03,
}

PATHS = {"comment": "comments"}  # of those that are not called like their kind
BODIES = {
    "watch": b'{"completion_percent": 80.0, "watch_ms": 9000}',
    "share": b'{"share_target": "copy_link"}',
    "comment": b'{"body": "well said"}',
}


class Writes:
    """Makes requests of new viewers; no viewer meets the same item twice in one kind of write."""

    def __init__(self, settings: Settings, *, seed: int = 0) -> None:
        self._chance = random.Random(seed)  # noqa: S311
        items = [item for item in items_of(settings.postgres_url) if item.item_type == "video"]
        self._items: Sequence[Item] = self._chance.sample(items, min(ITEMS, len(items)))
        self._viewers = new_viewers(WRITERS)
        self._tokens = tokens(settings, self._viewers)
        self._traffic = Traffic(self._items, self._viewers, seed=seed, ends_at=datetime.now(UTC))
        self._turn = 0

    def of(self, kinds: Sequence[str], times: Sequence[float]) -> list[Request]:
        """Return a request of each kind, at its time."""
        batches = iter(self._traffic.batches(kinds.count("events"), BATCH_EVENTS))
        return [
            self._events(at, next(batches)) if kind == "events" else self._on_video(at, kind)
            for kind, at in zip(kinds, times, strict=True)
        ]

    def mixed(self, times: Sequence[float]) -> list[Request]:
        """Return requests in the proportions of an app."""
        return self.of(
            self._chance.choices(list(MIX), weights=list(MIX.values()), k=len(times)), times
        )

    def _events(self, at: float, batch: Batch) -> Request:
        return Request(at, self._tokens[batch.viewer_id], batch.body, "POST", "/api/v1/events")

    def _on_video(self, at: float, kind: str) -> Request:
        turn = self._turn
        self._turn += 1
        # Another video for each viewer each time, spread over all.
        place = (turn // WRITERS + turn % WRITERS * 7) % len(self._items)
        token = self._tokens[self._viewers[turn % WRITERS]]
        path = f"/api/v1/reels/{self._items[place].item_id}/{PATHS.get(kind, kind)}"
        return Request(at, token, BODIES.get(kind, b""), "POST", path)


def at_random(rate: float, seconds: float, *, seed: int) -> list[float]:
    """Return times of independent clients, in order, which make a rate (per second)."""
    chance = random.Random(seed)  # noqa: S311
    return sorted(chance.uniform(0, seconds) for _ in range(max(2, round(rate * seconds))))


def every_kind(run: Run) -> Measured:
    """Each kind of write at a rate, one after the other."""
    writes = Writes(run.settings)
    seconds = run.seconds(SECONDS)
    measured = Measured()
    for number, kind in enumerate(MIX):
        times = at_random(RATE, seconds, seed=number)
        requests = writes.of([kind] * len(times), times)
        found = carry_out(plan_of(run.settings.public_base_url, requests), run.folder)
        made = summed_up(
            kind,
            f"POST, {RATE:.0f} a second",
            found.outcomes,
            seconds=found.seconds,
            asked_per_second=RATE,
        )
        measured.figures.append(made)
        measured.values[f"{kind.replace('-', '_')}_p95_ms"] = made.p95_ms
    measured.values |= {
        "p95_ms": max(made.p95_ms for made in measured.figures),
        "errors": sum(made.errors for made in measured.figures),
    }
    return measured


BENCHMARKS = (
    Benchmark(
        "writes",
        "each kind of write, 100 requests a second, open loop",
        "events straight to the Postgres function (events)",
        every_kind,
        goals=(Goal("p95_ms", 100, "ms"), Goal("errors", 0, "errors")),
    ),
)
