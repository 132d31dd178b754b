"""Load from processes of their own: plans handed to clients, outcomes summed up."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import msgspec
from msgspec import Struct

from api.auth import issue_token
from api.settings import Settings
from bench import openloop
from bench.measure import Figure, figure, percentiles
from bench.openloop import Outcome, Outcomes, Plan, Request
from bench.results import ROOT

WARM_UP_PATH = "/api/v1/health/live"
TIMEOUT_SECONDS = 10.0
IN_FLIGHT_MAX = 1_024  # requests (count)
TOKEN_SECONDS = 7_200
# Beyond what a plan lasts, until a client must have ended.
SLACK_SECONDS = 60.0

WORDS = {openloop.TIMED_OUT: "timed out", openloop.NOT_ANSWERED: "no answer"}


class Clients:
    """Client processes that have read their plans and wait for the word to begin."""

    def __init__(self, module: str, plans: Sequence[Struct], folder: Path) -> None:
        self._module = module
        self._plans = plans
        self._folder = folder
        self._children: list[tuple[subprocess.Popen[str], Path]] = []

    @contextlib.contextmanager
    def ready(self) -> Iterator[Clients]:
        """Start them; they are gone when the block ends."""
        with ExitStack() as ends:
            for number, plan in enumerate(self._plans):
                paths = [self._folder / f"{kind}-{number}.msgpack" for kind in ("plan", "outcomes")]
                paths[0].write_bytes(msgspec.msgpack.encode(plan))
                child = ends.enter_context(
                    subprocess.Popen(  # noqa: S603
                        [sys.executable, "-m", self._module, *map(str, paths)],
                        cwd=ROOT,
                        stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE,
                        text=True,
                    )
                )
                ends.callback(child.kill)
                self._children.append((child, paths[1]))
            for child, _ in self._children:
                if stream(child.stdout).readline().strip() != "ready":
                    raise RuntimeError(f"{self._module} did not start")
            yield self

    def begin(self) -> None:
        """Have all of them begin."""
        for child, _ in self._children:
            stream(child.stdin).write("\n")
            stream(child.stdin).flush()

    def outcomes(self, seconds: float) -> list[Outcomes]:
        """Wait for all of them; raises `TimeoutExpired`, and `RuntimeError` of one that failed."""
        for child, _ in self._children:
            if child.wait(seconds) != 0:
                raise RuntimeError(f"{self._module} ended with {child.returncode}")
        return [
            msgspec.msgpack.decode(path.read_bytes(), type=Outcomes) for _, path in self._children
        ]


def stream(pipe: IO[str] | None) -> IO[str]:
    """Return a pipe that was asked for."""
    assert pipe is not None
    return pipe


def carry_out(plan: Plan, folder: Path) -> Outcomes:
    """Have a client of HTTP carry out a plan."""
    lasts = plan.seconds if plan.clients else plan.requests[-1].at_seconds
    clients = Clients("bench.openloop", [plan], folder)
    with clients.ready():
        clients.begin()
        (found,) = clients.outcomes(lasts + plan.timeout_seconds + SLACK_SECONDS)
    return found


def plan_of(
    base_url: str,
    requests: list[Request],
    *,
    connections: int = 0,
    seconds: float = 0.0,
    warm_up_path: str = WARM_UP_PATH,
) -> Plan:
    """
    Return a plan for a server.

    Open loop, each request at its time; with `connections` and `seconds` closed, in their order
    again and again.
    """
    return Plan(
        url=base_url,
        warm_up_url=base_url + warm_up_path,
        in_flight_max=max(connections, IN_FLIGHT_MAX),
        timeout_seconds=TIMEOUT_SECONDS,
        requests=requests,
        clients=connections,
        seconds=seconds,
    )


def get(path: str, token: str, at_seconds: float = 0.0) -> Request:
    """Return a request for something."""
    return Request(at_seconds, token, b"", "GET", path)


def tokens(settings: Settings, viewers: Sequence[int]) -> dict[int, str]:
    """Return a token of each viewer."""
    return {
        viewer: issue_token(settings, user_id=viewer, ttl_seconds=TOKEN_SECONDS)
        for viewer in viewers
    }


def is_good(outcome: Outcome) -> bool:
    """Say whether a request was answered as asked."""
    return 200 <= outcome.status < 300


def summed_up(
    name: str,
    what: str,
    outcomes: Sequence[Outcome],
    *,
    seconds: float,
    connections: int = 0,
    asked_per_second: float | None = None,
) -> Figure:
    """Return the figure of some outcomes; errors are answers that are no 2xx, and none at all."""
    made = figure(
        name,
        what,
        [outcome.latency_ms for outcome in outcomes],
        seconds=seconds,
        clients=connections or IN_FLIGHT_MAX,
        errors=sum(not is_good(outcome) for outcome in outcomes),
    )
    made.loop = "closed" if connections else "open"
    made.asked_per_second = asked_per_second
    made.late_p99_ms = round(percentiles([outcome.late_ms for outcome in outcomes])[2], 2)
    made.hits = sum(outcome.is_hit for outcome in outcomes)
    answers = Counter(WORDS.get(outcome.status, str(outcome.status)) for outcome in outcomes)
    made.answers = dict(answers.most_common())
    return made
