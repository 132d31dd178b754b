"""What a benchmark is: what it measures, against what, and which goals its figures have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct, field

from api.actionable import ActionableError
from api.settings import Settings
from api.stack.system import System
from bench.measure import Figure

QUICK_SHARE = 20  # of the time and the requests of a full run, what a quick one takes (1 / share)
QUICK_SECONDS = 2.0
QUICK_COUNT = 10

Needs = Literal["reels", "posts", "up"]


class NotHereError(ActionableError):
    """The world or the system has not what is to be measured; the message says what."""


class Goal(Struct, frozen=True):
    """A bound of one of the values a benchmark returns."""

    value: str
    bound: float
    unit: str
    at_least: bool = False

    def is_met_by(self, found: float) -> bool:
        """Say whether a figure is within the bound."""
        return found >= self.bound if self.at_least else found <= self.bound

    @property
    def words(self) -> str:
        """Return the bound as a person writes it."""
        return f"{'>=' if self.at_least else '<='} {self.bound:g} {self.unit}".strip()


class Verdict(Struct):
    """A goal, and the figure that was found; None where none was."""

    goal: Goal
    found: float | None
    is_met: bool


class Measured(Struct):
    """
    What one benchmark found.

    `values` are single numbers by name, the ones goals are about among them; a name ends in its
    unit. `wrong` says what was lost or answered wrongly: figures of it are worth nothing.
    """

    figures: list[Figure] = field(default_factory=list)
    values: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    details: Any = None
    wrong: str = ""


class Run(Struct, frozen=True):
    """What a benchmark is given: the system it measures, and how long it may take."""

    settings: Settings
    system: System
    folder: Path
    is_quick: bool = False

    def seconds(self, full: float) -> float:
        """Return how long to measure: less in a quick run."""
        return max(QUICK_SECONDS, full / QUICK_SHARE) if self.is_quick else full

    def count(self, full: int) -> int:
        """Return how often to measure: less in a quick run."""
        return max(QUICK_COUNT, full // QUICK_SHARE) if self.is_quick else full


class Benchmark(Struct, frozen=True):
    """
    One entry of the list.

    It is ended after `limit_seconds`; `reference` says what is measured beside it in the same run.
    What `is_apart` makes a world of its own, and is no part of `all`.
    """

    name: str
    what: str
    reference: str
    measure: Callable[[Run], Measured]
    needs: Needs = "reels"
    goals: tuple[Goal, ...] = ()
    limit_seconds: float = 300.0
    is_apart: bool = False

    def verdicts(self, values: Mapping[str, float]) -> list[Verdict]:
        """Hold values against the goals."""
        return [
            Verdict(
                goal,
                values.get(goal.value),
                goal.value in values and goal.is_met_by(values[goal.value]),
            )
            for goal in self.goals
        ]
