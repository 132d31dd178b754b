"""
The posts feed while ClickHouse is away: how fast pages are then, and when they are ranked again.

It hangs once (SIGSTOP) and is killed several times; whoever runs `up` starts it again. Nothing but
the process is touched: the service is told nothing.
"""

from __future__ import annotations

import signal
import statistics
import time
from collections.abc import Sequence

import psutil
from msgspec import Struct
from rich.table import Table

from api.auth import issue_token
from api.cli.console import out, say
from api.settings import Settings
from api.stack.clickhouse import ClickHouseServer
from api.stack.system import System
from bench.feed import POSTS, forget, viewers
from bench.post_readers import Page, PostReaders

CLIENTS = 50
VIEWERS = 1_000
WARM_SECONDS = 30.0
KILLS = 3  # `up` gives up on a process that ends more than five times within a minute
BACK_SECONDS = 60.0  # longest wait
# What is promised while ClickHouse is away, and after it is back.
PROMISED_P95_MS = 500.0
PROMISED_BACK_SECONDS = 35.0
AGAIN_PAGES = 20  # first pages in a row that were ranked: it is back for good
POLL_SECONDS = 0.05


class Reading(Struct):
    """Pages of one time (count, milliseconds); `refused` are 5xx and no answer at all."""

    when: str
    is_away: bool
    seconds: float
    pages: int
    refused: int
    timelines: int
    p50_ms: float
    p95_ms: float
    max_ms: float
    timelines_p95_ms: float


class Return(Struct):
    """
    What came after ClickHouse's first answer: seconds to the first feed that was ranked again.

    And to the last that was not. None where it did not come to that within `BACK_SECONDS`: where
    rankings take longer than the service waits for them, some go on coming from Postgres.
    """

    way: str
    first_ranked_seconds: float | None
    last_timeline_seconds: float | None


class FallbackReport(Struct):
    """Everything `./nova bench posts-fallback` found out."""

    clients: int
    readings: list[Reading]
    returns: list[Return]

    @property
    def is_served(self) -> bool:
        """Say whether every page was answered in time, from Postgres, and soon ranked again."""
        away = [r for r in self.readings if r.is_away]
        return (
            not any(r.refused for r in self.readings)
            and all(r.timelines and r.p95_ms <= PROMISED_P95_MS for r in away)
            and all(
                back.last_timeline_seconds is not None
                and back.last_timeline_seconds <= PROMISED_BACK_SECONDS
                for back in self.returns
            )
        )


def measure_fallback(settings: Settings, system: System, hung_seconds: float) -> FallbackReport:
    """Read with 50 clients, a page a second each, and take ClickHouse away meanwhile."""
    clickhouse = embedded(system)
    forget(settings)
    report = FallbackReport(CLIENTS, [], [])
    chosen = viewers(settings, VIEWERS, POSTS.item_type)

    def token(viewer_id: int) -> str:
        return issue_token(settings, user_id=viewer_id, ttl_seconds=86_400)

    with PostReaders(settings.public_base_url, chosen, token, CLIENTS) as readers:
        time.sleep(WARM_SECONDS)
        report.readings.append(reading("is there", readers.pages(), WARM_SECONDS))

        say("ClickHouse hangs")
        family = processes(clickhouse)
        gone_at = time.monotonic()
        signal_all(family, signal.SIGSTOP)
        try:
            time.sleep(hung_seconds)
        finally:
            back_at = time.monotonic()
            signal_all(family, signal.SIGCONT)
        came_back(report, readers, clickhouse, "hung", gone_at, back_at)

        for _ in range(KILLS):
            say("ClickHouse is killed")
            gone_at = time.monotonic()
            signal_all(processes(clickhouse), signal.SIGKILL)
            came_back(report, readers, clickhouse, "killed", gone_at, None)
    return report


def came_back(
    report: FallbackReport,
    readers: PostReaders,
    clickhouse: ClickHouseServer,
    way: str,
    gone_at: float,
    back_at: float | None,
) -> None:
    """Wait until ClickHouse answers and feeds are ranked again; note how it was until then."""
    while not clickhouse.answers():
        time.sleep(POLL_SECONDS)
        if time.monotonic() > gone_at + BACK_SECONDS:
            raise SystemExit("ClickHouse did not come back; see `./nova status`")
    answers_at = back_at or time.monotonic()
    is_back = True
    try:
        readers.wait_for(lambda: readers.is_ranked_again(answers_at, AGAIN_PAGES), BACK_SECONDS)
    except TimeoutError:
        is_back = False
    away = readers.pages(gone_at, answers_at)
    report.readings.append(reading(way, away, answers_at - gone_at, is_away=True))
    starts = readers.first_pages(answers_at)
    first = next((page.ended_at for page in starts if page.is_ranked), None)
    last = max((page.ended_at for page in starts if page.is_timeline), default=answers_at)
    report.returns.append(
        Return(
            way,
            None if first is None else round(first - answers_at, 2),
            round(last - answers_at, 2) if is_back else None,
        )
    )
    after = readers.pages(answers_at)
    report.readings.append(reading(f"{way}, then is back", after, time.monotonic() - answers_at))


def reading(when: str, pages: Sequence[Page], seconds: float, *, is_away: bool = False) -> Reading:
    """Sum up pages."""
    cuts = percentiles([page.latency_ms for page in pages])
    timelines = [page.latency_ms for page in pages if page.is_timeline]
    return Reading(
        when=when,
        is_away=is_away,
        seconds=round(seconds, 1),
        pages=len(pages),
        refused=sum(page.body is None for page in pages),
        timelines=len(timelines),
        p50_ms=cuts[0],
        p95_ms=cuts[1],
        max_ms=cuts[2],
        timelines_p95_ms=percentiles(timelines)[1],
    )


def percentiles(latencies_ms: Sequence[float]) -> tuple[float, float, float]:
    """Return median, 95th percentile and largest; zeros of too few."""
    if len(latencies_ms) < 2:
        return (0.0, 0.0, 0.0)
    cuts = statistics.quantiles(latencies_ms, n=100, method="inclusive")
    return (round(cuts[49], 1), round(cuts[94], 1), round(max(latencies_ms), 1))


def embedded(system: System) -> ClickHouseServer:
    """Return the server that `up` runs and restarts; ends the program when there is none."""
    identity = system.identity()
    server = system.servers(identity).get("clickhouse") if identity else None
    if not isinstance(server, ClickHouseServer) or system.holder() is None:
        raise SystemExit("only a ClickHouse that `./nova up` runs can be taken away")
    return server


def processes(server: ClickHouseServer) -> list[psutil.Process]:
    """Return a server's process and all it started."""
    leader = server.process
    if leader is None:
        raise SystemExit("ClickHouse is not running; see `./nova status`")
    return [leader, *leader.children(recursive=True)]


def signal_all(family: Sequence[psutil.Process], number: signal.Signals) -> None:
    """Send a signal to processes."""
    for member in family:
        member.send_signal(number)


def show_fallback(report: FallbackReport) -> None:
    """Print a report."""
    table = Table(
        "ClickHouse", "s", "pages", "refused", "timelines", "p50 ms", "p95", "max", "timelines p95"
    )
    for r in report.readings:
        counts = (r.pages, r.refused, r.timelines)
        times = (r.p50_ms, r.p95_ms, r.max_ms, r.timelines_p95_ms)
        table.add_row(r.when, f"{r.seconds:.1f}", *map(str, counts), *(f"{t:.0f}" for t in times))
    out.print(table)
    table = Table("after", "first ranking again, s", "last timeline, s")
    for back in report.returns:
        seconds = (back.first_ranked_seconds, back.last_timeline_seconds)
        table.add_row(
            back.way, *(f"> {BACK_SECONDS:.0f}" if s is None else f"{s:.1f}" for s in seconds)
        )
    out.print(table)
