"""
Writing events: how fast through HTTP, how fast straight into Postgres, and whether all arrived.

Batches arrive at random times at a given mean rate, from as many viewers as the limit per viewer
needs, and a fifth of their events was sent before. Afterwards both databases are compared with what
was acknowledged.
"""

from __future__ import annotations

import math
import random
import statistics
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from msgspec import Struct
from rich.table import Table

from api.auth import issue_token
from api.cli.console import out, say
from api.settings import Settings
from api.stack.system import System
from api.workers.landing import land_until_settled
from bench import direct, openloop
from bench.exactness import Exactness, Scope, check
from bench.load import WARM_UP_PATH, WORDS, Clients
from bench.openloop import Outcome
from bench.traffic import BATCH_EVENTS, Batch, Item, Traffic, items_of, new_viewers
from bench.usage import Usage

PATH = "/api/v1/events"

VIEWERS = 1_000  # count, of each phase
GOAL_P95_MS = 100.0
# Of the asked rate, what counts as having kept up.
KEPT_UP = 0.97
IN_FLIGHT_MAX = 256  # requests (count)
TIMEOUT_SECONDS = 10.0
CLIENT_SECONDS = 180.0  # of a client, the longest

DIRECT_CLIENTS = 2
DIRECT_BATCHES = 2_000  # count

STEP_SECONDS = 10.0
STEP_FACTOR = 1.25
STEPS_MOST = 8
SLOWEST_RATE = 500.0  # events per second

SHOWN_CORES = 0.01

ACCEPTED = 202


class Load(Struct):
    """What one stretch of sending was answered; latencies per batch (milliseconds)."""

    name: str
    clients: str
    asked_per_second: float | None
    achieved_per_second: float
    seconds: float
    batches: int
    events: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float
    late_p99_ms: float
    answers: dict[str, int]
    cores: Mapping[str, float]
    landed_after_ms: float

    @property
    def errors(self) -> int:
        """Batches that were not accepted (count)."""
        return self.batches - self.answers.get(str(ACCEPTED), 0)

    def cpu_us_per_event(self, process: str) -> float:
        """Return the processor time of a process by event sent (microseconds)."""
        return self.cores[process] * self.seconds / self.events * 1_000_000

    @property
    def is_held(self) -> bool:
        """Say whether the asked rate was kept up, without an error and within the goal."""
        return (
            not self.errors
            and self.p95_ms < GOAL_P95_MS
            and self.achieved_per_second >= KEPT_UP * (self.asked_per_second or 0)
        )


class EventsReport(Struct):
    """Everything `./nova bench events` found out."""

    viewers: int
    items: int
    workers: int
    asked: Load
    direct: Load
    steps: list[Load]
    highest_held_per_second: float
    http_to_direct_ratio: float
    exactness: Exactness


class Bench:
    """One run: what it sends, what was answered, and what should be there in the end."""

    def __init__(self, settings: Settings, system: System, folder: Path) -> None:
        self.settings = settings
        self.system = system
        self.folder = folder
        self.items: list[Item] = items_of(settings.postgres_url)
        self.began_at = datetime.now(UTC)
        self.block = new_viewers(0).start
        self.used_viewers = 0
        self.sent: list[tuple[Batch, Outcome]] = []
        # Hours that others have filled before, such as the plays of a made-up world.
        land_until_settled(settings)
        self.before = self.scope().said(settings)

    # ---------- what is sent

    def batches(self, count: int) -> tuple[range, list[Batch]]:
        """Make batches of new viewers."""
        first = self.block + self.used_viewers
        viewers = range(first, first + VIEWERS)
        self.used_viewers += VIEWERS
        traffic = Traffic(self.items, viewers, seed=self.used_viewers, ends_at=datetime.now(UTC))
        return viewers, traffic.batches(count)

    def over_http(self, name: str, rate: float, seconds: float) -> Load:
        """Send batches at random times, as many as make the rate (events per second)."""
        viewers, batches = self.batches(math.ceil(rate * seconds / BATCH_EVENTS))
        tokens = {
            viewer: issue_token(self.settings, user_id=viewer, ttl_seconds=3_600)
            for viewer in viewers
        }
        chance = random.Random(len(batches))  # noqa: S311
        times = sorted(chance.uniform(0, seconds) for _ in batches)
        plan = openloop.Plan(
            url=self.settings.public_base_url + PATH,
            warm_up_url=self.settings.public_base_url + WARM_UP_PATH,
            in_flight_max=IN_FLIGHT_MAX,
            timeout_seconds=TIMEOUT_SECONDS,
            requests=[
                openloop.Request(at, tokens[batch.viewer_id], batch.body)
                for at, batch in zip(times, batches, strict=True)
            ],
        )
        return self.measured(
            name, "1 process, open loop", rate, "bench.openloop", [plan], [batches]
        )

    def straight_to_postgres(self, name: str) -> Load:
        """Call the function behind the API, one batch after the other on each connection."""
        _, batches = self.batches(DIRECT_BATCHES)
        shares = [batches[number::DIRECT_CLIENTS] for number in range(DIRECT_CLIENTS)]
        plans = [
            direct.Calls(
                self.settings.postgres_url,
                [
                    direct.Call(
                        batch.viewer_id,
                        bytes(msgspec.json.decode(batch.body, type=direct.Body).events),
                    )
                    for batch in share
                ],
            )
            for share in shares
        ]
        clients = f"{DIRECT_CLIENTS} processes, closed loop"
        return self.measured(name, clients, None, "bench.direct", plans, shares)

    # ---------- measuring

    def measured(
        self,
        name: str,
        clients: str,
        rate: float | None,
        module: str,
        plans: Sequence[Struct],
        batches: Sequence[Sequence[Batch]],
    ) -> Load:
        """Run a client process per plan, all begun together, and wait until all has landed."""
        processes = Clients(module, plans, self.folder)
        with processes.ready():
            usage = Usage(self.system)
            processes.begin()
            found = processes.outcomes(CLIENT_SECONDS)
            ended = time.perf_counter()
            cores = usage.cores(sum(each.cpu_seconds for each in found))
        land_until_settled(self.settings)
        landed_after_ms = (time.perf_counter() - ended) * 1000
        outcomes = [outcome for each in found for outcome in each.outcomes]
        sent = [batch for share in batches for batch in share]
        self.sent += zip(sent, outcomes, strict=True)
        accepted = [outcome for outcome in outcomes if outcome.status == ACCEPTED]
        seconds = max(each.seconds for each in found)
        latencies = [outcome.latency_ms for outcome in outcomes]
        cuts = statistics.quantiles(latencies, n=100, method="inclusive")
        lateness = statistics.quantiles(
            [outcome.late_ms for outcome in outcomes], n=100, method="inclusive"
        )
        answers = Counter(WORDS.get(outcome.status, str(outcome.status)) for outcome in outcomes)
        if not accepted:
            raise SystemExit(f"no batch was accepted: {dict(answers)}")
        return Load(
            name=name,
            clients=clients,
            asked_per_second=rate,
            achieved_per_second=round(sum(each.received for each in accepted) / seconds),
            seconds=round(seconds, 2),
            batches=len(sent),
            events=sum(batch.events for batch in sent),
            p50_ms=round(cuts[49], 1),
            p95_ms=round(cuts[94], 1),
            p99_ms=round(cuts[98], 1),
            max_ms=round(max(latencies), 1),
            late_p99_ms=round(lateness[98], 1),
            answers=dict(answers),
            cores=cores,
            landed_after_ms=round(landed_after_ms),
        )

    def search(self, known: Load) -> list[Load]:
        """
        Look for the highest rate that is held, up or down from one that is known.

        Steps by a quarter; then once between the highest held and the lowest that was not.
        """
        steps: list[Load] = []
        rate = known.asked_per_second or 0
        factor = STEP_FACTOR if known.is_held else 1 / STEP_FACTOR
        last = known
        while last.is_held is known.is_held and len(steps) < STEPS_MOST and rate > SLOWEST_RATE:
            rate *= factor
            say(f"measuring {rate:,.0f} events/s")
            last = self.over_http(f"{rate:,.0f}/s", rate, STEP_SECONDS)
            steps.append(last)
        if last.is_held is not known.is_held:
            between = rate / math.sqrt(factor)
            say(f"measuring {between:,.0f} events/s")
            steps.append(self.over_http(f"{between:,.0f}/s", between, STEP_SECONDS))
        return steps

    # ---------- afterwards

    def exactness(self) -> Exactness:
        """Compare what is stored with what was sent and acknowledged, in this whole run."""
        return check(
            self.settings,
            self.scope(),
            sent=(key for batch, _ in self.sent for key in batch.keys),
            acknowledged=(
                key
                for batch, outcome in self.sent
                if outcome.status == ACCEPTED
                for key in batch.keys
            ),
            miscounted_requests=self.miscounted(),
            before=self.before,
        )

    def scope(self) -> Scope:
        """Return whose events are the run's, and from when."""
        return Scope(
            range(self.block, self.block + max(1, self.used_viewers)),
            self.began_at - timedelta(minutes=16),
        )

    def miscounted(self) -> int:
        """
        Count batches whose answers do not add up: each event new in exactly one of them.

        A batch that was not answered somewhere may have been stored there.
        """
        answers: defaultdict[Batch, list[Outcome]] = defaultdict(list)
        for batch, outcome in self.sent:
            answers[batch].append(outcome)
        return sum(
            any(answer.received != batch.events for answer in answered)
            or sum(answer.received - answer.deduped for answer in answered) != len(batch.keys)
            for batch, answered in answers.items()
            if all(answer.status == ACCEPTED for answer in answered)
        )


def measure_events(
    settings: Settings, system: System, rate: float, seconds: float, *, search: bool = True
) -> EventsReport:
    """Measure the asked rate, Postgres alone, and the highest rate that is held."""
    with tempfile.TemporaryDirectory(prefix="nova-bench-") as folder:
        bench = Bench(settings, system, Path(folder))
        say(f"measuring {rate:,.0f} events/s for {seconds:g} s")
        asked = bench.over_http(f"{rate:,.0f}/s", rate, seconds)
        say("measuring Postgres alone")
        straight = bench.straight_to_postgres("function")
        steps = bench.search(asked) if search else []
        say("comparing both databases with what was acknowledged")
        held = [load.achieved_per_second for load in (asked, *steps) if load.is_held]
        highest = max(held, default=0.0)
        return EventsReport(
            viewers=bench.used_viewers,
            items=len(bench.items),
            workers=settings.workers,
            asked=asked,
            direct=straight,
            steps=steps,
            highest_held_per_second=highest,
            http_to_direct_ratio=round(highest / straight.achieved_per_second, 2),
            exactness=bench.exactness(),
        )


def show_events(report: EventsReport) -> None:
    """Print what was measured, and whether everything arrived once."""
    loads = [report.asked, *report.steps, report.direct]
    latencies = Table("asked", "events/s", "batches", "errors", "p50", "p95", "p99", "max (ms)")
    for load in loads:
        latencies.add_row(
            load.name + (" held" if load.is_held and load.asked_per_second else ""),
            f"{load.achieved_per_second:,.0f}",
            f"{load.batches:,}",
            f"{load.errors:,}",
            *(f"{ms:,.0f}" for ms in (load.p50_ms, load.p95_ms, load.p99_ms, load.max_ms)),
        )
    out.print(latencies)
    for load in loads:
        answers = ", ".join(f"{count:,} {answer}" for answer, count in sorted(load.answers.items()))
        used = ", ".join(
            f"{name} {cores:.2f} ({load.cpu_us_per_event(name):.0f})"
            for name, cores in load.cores.items()
            if cores >= SHOWN_CORES
        )
        out.print(
            f"{load.name}: {answers}; landed {load.landed_after_ms:,.0f} ms after the last; "
            f"cores (µs per event): {used}"
        )
    out.print(
        f"{report.items:,} items, {report.viewers:,} viewers, {report.workers} API workers; "
        f"{report.asked.clients}; straight to the function: {report.direct.clients}"
    )
    out.print(
        f"highest rate held: {report.highest_held_per_second:,.0f} events/s; straight to Postgres "
        f"{report.direct.achieved_per_second:,.0f}; ratio {report.http_to_direct_ratio}"
    )
    exactness = report.exactness
    out.print(
        f"{exactness.acknowledged:,} distinct events acknowledged, "
        f"{exactness.in_postgres:,} in Postgres, {exactness.in_clickhouse:,} in ClickHouse"
    )
    lost = exactness.lost_in_postgres + exactness.lost_in_clickhouse
    surplus = exactness.surplus_in_postgres + exactness.surplus_in_clickhouse
    out.print(
        f"loss {lost}, surplus {surplus}, twice {exactness.twice_in_clickhouse}, "
        f"answers that do not add up {exactness.miscounted_requests}, "
        f"rollups {'equal a recount' if not exactness.differences else 'DIFFER'}"
    )
    for name, how in exactness.differences.items():
        out.print(f"{name}: {how}", markup=False)
