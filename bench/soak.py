"""
A mixed load for long, and what grows meanwhile: memory, keys, parts, bloat, files.

Nothing may grow without bound. Readers and writers are the same ones all the time, so what depends
on them comes to rest; what grows with every event (rows, and the space they take) is held against
the number of events. After the first third a line is laid through each series (the median of the
slopes between all pairs of samples, which a single peak does not move): it grows when the line
rises by more than a tenth an hour of where it began, and by more than is lost in the noise.
"""

from __future__ import annotations

import itertools
import statistics
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType

import clickhouse_connect
import psutil
import psycopg
import redis
from msgspec import Struct

from api.settings import Settings
from api.stack.system import System
from bench.feed import forget
from bench.load import carry_out, plan_of
from bench.measure import Figure
from bench.registry import Measured, Run
from bench.service import Readers, by_kind
from bench.usage import memory_mib, processes_of

STRETCH_SECONDS = 60.0  # of load planned at once
SAMPLE_SECONDS = 10.0
WARM_UP_SHARE = 1 / 3
GROWTH_PER_HOUR = 0.1  # of the level

PARTS = """
select count()
from system.parts
where active and database in ('raw', 'nova')
"""
ROWS = """
select sum(rows), sum(bytes_on_disk)
from system.parts
where active and database = 'raw'
"""
BLOAT = """
select
    coalesce(sum(n_dead_tup), 0)::float8,
    coalesce(sum(n_live_tup), 0)::float8,
    pg_database_size(current_database())::float8,
    (select count(*)::float8 from pg_stat_activity where datname = current_database())
from pg_stat_user_tables
"""

# Told and not judged: snapshots of a ranking live for two hours, longer than a run, and each key
# that expires is bounded by when. Keys that do not, and what a key takes, are judged.
TOLD = frozenset({"redis_keys", "redis_mib"})

# Rises that are noise (in the unit of the series), by the end of its name.
NOISE: Mapping[str, float] = {
    "_mib": 16.0,
    "_files": 16.0,
    "redis_keys_lasting": 200.0,
    "redis_bytes_per_key": 2_000.0,
    "clickhouse_parts": 60.0,
    "postgres_dead_share": 0.05,
    "postgres_connections": 8.0,
    "_bytes_per_row": 20.0,
}


class Series(Struct):
    """One thing that was watched: where it began after warming up, where it ended, and its line."""

    name: str
    first: float
    last: float
    per_hour: float
    grows: bool
    at_seconds: list[float]
    values: list[float]


def look(settings: Settings, system: System) -> dict[str, float]:
    """Return everything that is watched, as it is now."""
    found = {f"{name}_mib": mib for name, mib in memory_mib(system).items()}
    for name, process in processes_of(system).items():
        found[f"{name}_files"] = float(open_files(process))
    with redis.Redis.from_url(settings.redis_url, socket_timeout=5) as client:
        kept = client.info("keyspace").get("db0", {})  # type: ignore[union-attr]
        used = client.info("memory")["used_memory"]  # type: ignore[index]
        found["redis_keys"] = float(kept.get("keys", 0))
        found["redis_keys_lasting"] = found["redis_keys"] - float(kept.get("expires", 0))
        found["redis_bytes_per_key"] = used / max(1.0, found["redis_keys"])
    with clickhouse_connect.get_client(dsn=settings.clickhouse_url) as client:
        found["clickhouse_parts"] = float(client.command(PARTS))
        rows, size = client.query(ROWS).result_rows[0]
        found["clickhouse_bytes_per_row"] = size / max(1, rows)
    with psycopg.connect(settings.postgres_url) as connection:
        row = connection.execute(BLOAT).fetchone()
        assert row is not None
        dead, live, size, connections = row
        found["postgres_dead_share"] = dead / max(1.0, dead + live)
        found["postgres_bytes_per_row"] = size / max(1.0, live)
        found["postgres_connections"] = connections
    return found


def open_files(process: psutil.Process) -> int:
    """Count the open files of a process and all it started."""
    total = 0
    for member in (process, *process.children(recursive=True)):
        try:
            total += member.num_fds()
        except psutil.Error:
            continue
    return total


class Lookout:
    """Looks at a system again and again while a block runs."""

    def __init__(self, look: Callable[[], dict[str, float]], every_seconds: float) -> None:
        self.samples: list[tuple[float, dict[str, float]]] = []
        self.failures: list[Exception] = []
        self._look = look
        self._every_seconds = every_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Lookout:
        """Begin."""
        self._began = time.monotonic()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            at = time.monotonic() - self._began
            try:
                self.samples.append((at, self._look()))
            except Exception as exc:
                self.failures.append(exc)
            self._stop.wait(self._every_seconds)


def slope(times: Sequence[float], values: Sequence[float]) -> float:
    """Return the median of the slopes between all pairs (per unit of time)."""
    points = list(zip(times, values, strict=True))
    slopes = [
        (later[1] - earlier[1]) / (later[0] - earlier[0])
        for earlier, later in itertools.combinations(points, 2)
        if later[0] > earlier[0]
    ]
    return statistics.median(slopes) if slopes else 0.0


def noise_of(name: str) -> float:
    """Return the rise of a series that says nothing."""
    return next((noise for end, noise in NOISE.items() if name.endswith(end)), 0.0)


def series_of(name: str, times: Sequence[float], values: Sequence[float]) -> Series:
    """Lay a line through what came after warming up, and say whether it grows."""
    warm = times[-1] * WARM_UP_SHARE
    kept = [(at, value) for at, value in zip(times, values, strict=True) if at >= warm]
    per_second = slope([at for at, _ in kept], [value for _, value in kept])
    seconds = kept[-1][0] - kept[0][0]
    # Where the line begins: the middle of the first samples, not one of them.
    first = statistics.median(value for _, value in kept[: max(1, len(kept) // 5)])
    last = statistics.median(value for _, value in kept[-max(1, len(kept) // 5) :])
    per_hour = per_second * 3_600
    rise = per_second * seconds
    is_steep = per_hour > GROWTH_PER_HOUR * max(first, 1e-9) and rise > noise_of(name)
    grows = is_steep and name not in TOLD
    return Series(
        name,
        round(first, 3),
        round(last, 3),
        round(per_hour, 3),
        grows,
        [round(at, 1) for at in times],
        [round(value, 3) for value in values],
    )


def soak(run: Run, minutes: float, rate: float) -> Measured:
    """Read and write for some minutes at a rate (1/s), and look at everything meanwhile."""
    forget(run.settings)
    readers = Readers(run.settings, rate)
    base_url = run.settings.public_base_url
    stretch = min(STRETCH_SECONDS, minutes * 60 / 3)
    every = min(SAMPLE_SECONDS, minutes * 60 / 20)
    figures: list[Figure] = []
    with Lookout(lambda: look(run.settings, run.system), every) as lookout:
        ends_at = time.monotonic() + minutes * 60
        for seed in itertools.count(1, 2):
            if time.monotonic() >= ends_at:
                break
            plan = plan_of(base_url, readers.load(stretch, seed=seed))
            found = carry_out(plan, run.folder)
            figures.append(by_kind(plan.requests, found.outcomes, found.seconds, rate)[0])
    if not lookout.samples:
        raise RuntimeError(f"nothing could be looked at: {lookout.failures[:1]}")
    times = [at for at, _ in lookout.samples]
    names = sorted(set.intersection(*(set(each) for _, each in lookout.samples)))
    watched = [
        series_of(name, times, [each[name] for _, each in lookout.samples]) for name in names
    ]
    growing = [each.name for each in watched if each.grows]
    return Measured(
        [figures[0], figures[-1]],
        {
            "minutes": times[-1] / 60,
            "requests": sum(each.requests for each in figures),
            "errors": sum(each.errors for each in figures),
            "p95_ms_most": max(each.p95_ms for each in figures),
            "growing": len(growing),
            "looks_failed": len(lookout.failures),
        },
        notes=[f"{each.name} {each.first:g} -> {each.last:g}" for each in watched],
        details=watched,
        wrong=f"grows: {', '.join(growing)}" if growing else "",
    )
