"""
How long until an event counts: in the rollup, and in the score a page would be ranked by.

And whether a like is in the very next page of whoever liked: its count, and the ranking by it.
"""

from __future__ import annotations

import random
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import clickhouse_connect
import msgspec
from clickhouse_connect.driver import Client as ClickHouse
from msgspec import Struct
from rich.table import Table

from api.auth import issue_token
from api.cli.console import out, say
from api.settings import Settings
from api.workers.landing import land_until_settled
from bench.feed import viewers
from bench.measure import Client
from bench.statements import ranking_of_reels
from bench.traffic import APP_VERSIONS, DEVICES, Event, batch_of, new_viewers

TRENDING = "trending"  # source of what comes from the chart of the day

PROBES_PER_SECOND = 2.0
PLAYS = 100  # of one probe (count): enough to move any score
# More than age takes from a score in minutes, less than such plays move it (parts per million).
MOVED_PPM = 100
WAIT_SECONDS = 150.0
ROLLUP_PAUSE_SECONDS = 0.02
SCORE_PAUSE_SECONDS = 0.05
OBSERVERS_TRIED = 30  # count

EVENTS_PATH = "/api/v1/events"
PAGE_PATH = "/api/v1/reels?limit=50"
LIKABLE_ITEMS = 20  # from the top of the page (count)
# Affinity goes from "no history" to the highest there is; age takes a thousandth of this.
RAISED_SCORE = 0.01
NOT_SHOWN = {"like_count": -1, "ranking_score": -1.0}

ROLLED_UP = """
select video_id, sum(views)
from raw.video_ranking_signals_1h
where video_id in {videos:Array(UInt64)}
group by video_id
"""
COMPLETIONS = """
select video_id, completion
from nova.video_signals
where video_id in {videos:Array(UInt64)}
"""
REFRESHES = """
select view, last_success_duration_ms, read_rows
from system.view_refreshes
where database = 'nova'
order by view
"""


class Lag(Struct):
    """How long something took (milliseconds), and how often it was not seen in time (count)."""

    what: str
    seen: int
    unseen: int
    p50_ms: float
    p95_ms: float
    max_ms: float


class Refresh(Struct):
    """What one refresh of a precomputed model costs."""

    model: str
    duration_ms: int
    read_rows: int


class FreshnessReport(Struct):
    """Everything `./nova bench freshness` found out."""

    probes: int
    lags: list[Lag]
    likes: int
    likes_counted: int
    likes_ranked: int
    likes_missed: list[str]
    next_page: Lag
    refreshes: list[Refresh]

    @property
    def is_reflected(self) -> bool:
        """Say whether every like was in the next page, counted and ranked by."""
        return self.likes == self.likes_counted == self.likes_ranked


class Probe(Struct):
    """One event sent, and when what it changes was seen (seconds of one clock)."""

    video_id: int
    source: str
    views_before: int
    score_before: int
    sent_at: float = 0.0
    answered_at: float = 0.0
    rolled_up_at: float | None = None
    scored_at: float | None = None


class Ranked(Struct, frozen=True):
    """A place in somebody's ranking."""

    video_id: int
    score_ppm: int
    source: str


def ranking(client: ClickHouse, viewer_id: int) -> dict[int, Ranked]:
    """Ask as the API does when a page has to be ranked anew."""
    statement, parameters = ranking_of_reels(viewer_id, datetime.now(UTC))
    return {
        row["video_id"]: Ranked(row["video_id"], row["score_ppm"], row["source"])
        for row in client.query(statement, parameters=parameters).named_results()
    }


def completions(client: ClickHouse, videos: Sequence[int]) -> dict[int, float]:
    """Return how much of each video is played when it is played (share)."""
    rows = client.query(COMPLETIONS, parameters={"videos": list(videos)}).result_rows
    return {int(video): float(completion) for video, completion in rows}


def observed(settings: Settings, client: ClickHouse, probes: int) -> tuple[int, list[Ranked]]:
    """
    Return a viewer, and as many videos of their ranking: half from the chart, half from elsewhere.

    Takes of some viewers the one with whom that comes nearest.
    """
    best: tuple[int, list[Ranked]] = (0, [])
    most = -1
    for viewer_id in viewers(settings, OBSERVERS_TRIED):
        found = list(ranking(client, viewer_id).values())
        charted = [video for video in found if video.source == TRENDING]
        others = [video for video in found if video.source != TRENDING]
        half = min(len(others), probes // 2)
        chosen = [*others[:half], *charted[: probes - half]]
        if len(chosen) == probes and half > most:
            best, most = (viewer_id, chosen), half
    if most < 0:
        raise SystemExit(f"nobody here is shown {probes} videos: load data, or ask for less probes")
    random.Random(probes).shuffle(best[1])  # noqa: S311
    return best


class Followed:
    """Probes under way, and two lookouts that note when what they change is seen."""

    def __init__(self, settings: Settings, viewer_id: int, videos: Sequence[Ranked]) -> None:
        self.settings = settings
        self.viewer_id = viewer_id
        self.videos = videos
        self.probes: list[Probe] = []
        self.is_over = threading.Event()
        self.failures: list[Exception] = []
        self.score_looks_ms: list[float] = []

    def run(self) -> None:
        """Send every probe at its time, and wait until all were seen or time is up."""
        posters = new_viewers(len(self.videos))
        tokens = {
            viewer: issue_token(self.settings, user_id=viewer, ttl_seconds=3_600)
            for viewer in posters
        }
        client = Client(self.settings.public_base_url)
        with clickhouse_connect.get_client(dsn=self.settings.clickhouse_url) as clickhouse:
            views = views_of(clickhouse, [video.video_id for video in self.videos])
            scores = ranking(clickhouse, self.viewer_id)
            played = completions(clickhouse, [video.video_id for video in self.videos])
        lookouts = [
            threading.Thread(target=self.look_out, args=(look, pause), daemon=True)
            for look, pause in (
                (self.look_at_rollup, ROLLUP_PAUSE_SECONDS),
                (self.look_at_scores, SCORE_PAUSE_SECONDS),
            )
        ]
        for lookout in lookouts:
            lookout.start()
        began = time.perf_counter()
        chance = random.Random(len(self.videos))  # noqa: S311
        for number, (viewer, video) in enumerate(zip(posters, self.videos, strict=True)):
            at = (number + chance.random()) / PROBES_PER_SECOND
            time.sleep(max(0.0, began + at - time.perf_counter()))
            batch = plays(viewer, video, played[video.video_id])
            before = scores[video.video_id].score_ppm
            probe = Probe(video.video_id, video.source, views.get(video.video_id, 0), before)
            probe.sent_at = time.perf_counter()
            try:
                answered(client, "POST", EVENTS_PATH, tokens[viewer], batch)
            except RefusedError as exc:
                raise SystemExit(str(exc)) from exc
            probe.answered_at = time.perf_counter()
            self.probes.append(probe)
        deadline = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < deadline and not self.failures and not self.all_seen():
            time.sleep(SCORE_PAUSE_SECONDS)
        self.is_over.set()
        for lookout in lookouts:
            lookout.join()
        for failure in self.failures:
            raise failure

    def all_seen(self) -> bool:
        """Say whether nothing is left to be seen."""
        return all(probe.rolled_up_at and probe.scored_at for probe in self.probes)

    def look_out(self, look: Callable[[ClickHouse], None], pause: float) -> None:
        """Look again and again until it is over."""
        try:
            with clickhouse_connect.get_client(dsn=self.settings.clickhouse_url) as client:
                while not self.is_over.wait(pause):
                    look(client)
        except Exception as exc:
            self.failures.append(exc)

    def look_at_rollup(self, client: ClickHouse) -> None:
        """Note which probes the rollup has counted."""
        waiting = [probe for probe in self.probes if probe.rolled_up_at is None]
        if not waiting:
            return
        views = views_of(client, [probe.video_id for probe in waiting])
        now = time.perf_counter()
        for probe in waiting:
            if views.get(probe.video_id, 0) >= probe.views_before + PLAYS:
                probe.rolled_up_at = now

    def look_at_scores(self, client: ClickHouse) -> None:
        """Note which probes have moved a score."""
        waiting = [probe for probe in self.probes if probe.scored_at is None]
        if not waiting:
            return
        began = time.perf_counter()
        scores = ranking(client, self.viewer_id)
        now = time.perf_counter()
        self.score_looks_ms.append((now - began) * 1000)
        for probe in waiting:
            video = scores.get(probe.video_id)
            if video and abs(video.score_ppm - probe.score_before) > MOVED_PPM:
                probe.scored_at = now


def views_of(client: ClickHouse, videos: Sequence[int]) -> dict[int, int]:
    """Return what the rollup has counted."""
    rows = client.query(ROLLED_UP, parameters={"videos": list(videos)}).result_rows
    return {int(video): int(views) for video, views in rows}


def plays(viewer_id: int, video: Ranked, completion: float) -> bytes:
    """Return a batch of plays, to the end or not at all, whichever moves the video's score."""
    now = datetime.now(UTC)
    return batch_of(
        viewer_id,
        [
            Event(
                event_time=now - timedelta(seconds=number),
                item_id=str(video.video_id),
                item_type="video",
                action="view",
                device=DEVICES[0],
                app_ver=APP_VERSIONS[0],
                watch_ms=1,
                completion=0.0 if completion > 0.5 else 1.0,
            )
            for number in range(PLAYS)
        ],
    ).body


class LikesSeen(Struct):
    """
    How many next pages had the like in the count, and in the ranking; how long they took.

    `missed` says of the others how it was liked, how long the page took, and its own words.
    """

    counted: int
    ranked: int
    page_ms: list[float]
    missed: list[str]


def likes(settings: Settings, count: int) -> LikesSeen:
    """
    Like something of a first page, as often as not within a batch of events, and ask again.

    Each time as somebody new, so that the ranking's answer is known: the creator of what was liked
    becomes the one they like most. A request that fails is a like that was missed.
    """
    found = LikesSeen(0, 0, [], [])
    client = Client(settings.public_base_url)
    chance = random.Random(count)  # noqa: S311
    for number, viewer_id in enumerate(new_viewers(count)):
        token = issue_token(settings, user_id=viewer_id, ttl_seconds=600)
        try:
            before = chance.choice(
                answered(client, "GET", PAGE_PATH, token)["data"][:LIKABLE_ITEMS]
            )
            if number % 2:
                answered(client, "POST", f"/api/v1/reels/{before['id']}/like", token)
            else:
                answered(client, "POST", EVENTS_PATH, token, like(viewer_id, before["id"]))
            asked = time.perf_counter()
            page = answered(client, "GET", PAGE_PATH, token)
        except RefusedError as exc:
            found.missed.append(str(exc))
            continue
        found.page_ms.append((time.perf_counter() - asked) * 1000)
        after = {item["id"]: item for item in page["data"]}.get(before["id"], NOT_SHOWN)
        is_counted = after["like_count"] > before["like_count"]
        is_ranked = after["ranking_score"] > before["ranking_score"] + RAISED_SCORE
        found.counted += is_counted
        found.ranked += is_ranked
        if not (is_counted and is_ranked):
            how = "POST like" if number % 2 else "a batch"
            found.missed.append(f"by {how}, {found.page_ms[-1]:.0f} ms: {page['meta']}")
    return found


class RefusedError(Exception):
    """A request that was not answered as asked; says how it was."""


def answered(
    client: Client, method: str, path: str, token: str, body: bytes = b""
) -> dict[str, Any]:
    """Return what a request is answered; raises `RefusedError`."""
    status, said = client.request(method, path, token, body)
    if status not in (200, 202):
        raise RefusedError(f"{method} {path} was answered {status}: {said[:300]!r}")
    answer: dict[str, Any] = msgspec.json.decode(said)
    return answer


def like(viewer_id: int, video_id: str) -> bytes:
    """Return a batch with one like."""
    event = Event(
        event_time=datetime.now(UTC),
        item_id=video_id,
        item_type="video",
        action="like",
        device=DEVICES[0],
        app_ver=APP_VERSIONS[0],
    )
    return batch_of(viewer_id, [event]).body


def lag(what: str, passed_ms: Sequence[float | None]) -> Lag:
    """Sum up how long something took."""
    seen = [value for value in passed_ms if value is not None]
    if len(seen) < 2:
        return Lag(what, len(seen), len(passed_ms) - len(seen), 0.0, 0.0, 0.0)
    cuts = statistics.quantiles(seen, n=100, method="inclusive")
    return Lag(
        what=what,
        seen=len(seen),
        unseen=len(passed_ms) - len(seen),
        p50_ms=round(cuts[49], 1),
        p95_ms=round(cuts[94], 1),
        max_ms=round(max(seen), 1),
    )


def passed_ms(probe: Probe, at: float | None) -> float | None:
    """Return the time from the sending of a probe."""
    return None if at is None else (at - probe.sent_at) * 1000


def measure_freshness(settings: Settings, count: int) -> FreshnessReport:
    """Follow events, then likes."""
    land_until_settled(settings)
    with clickhouse_connect.get_client(dsn=settings.clickhouse_url) as client:
        viewer_id, videos = observed(settings, client, count)
        refreshes = [Refresh(*row) for row in client.query(REFRESHES).result_rows]
    say(f"following {count} events into the ranking of viewer {viewer_id}")
    followed = Followed(settings, viewer_id, videos)
    followed.run()
    say(f"following {count} likes into the next page")
    seen = likes(settings, count)
    probes = followed.probes
    charted = [probe for probe in probes if probe.source == TRENDING]
    others = [probe for probe in probes if probe.source != TRENDING]
    return FreshnessReport(
        probes=count,
        lags=[
            lag("answered", [passed_ms(probe, probe.answered_at) for probe in probes]),
            lag("in the rollup", [passed_ms(probe, probe.rolled_up_at) for probe in probes]),
            lag("in a served score", [passed_ms(probe, probe.scored_at) for probe in probes]),
            lag("… of the chart", [passed_ms(probe, probe.scored_at) for probe in charted]),
            lag("… of others", [passed_ms(probe, probe.scored_at) for probe in others]),
            lag("(one look at scores)", followed.score_looks_ms),
        ],
        likes=count,
        likes_counted=seen.counted,
        likes_ranked=seen.ranked,
        likes_missed=seen.missed,
        next_page=lag("next page after a like", seen.page_ms),
        refreshes=refreshes,
    )


def show_freshness(report: FreshnessReport) -> None:
    """Print what was seen, and when."""
    lags = Table("after an event was sent", "seen", "not seen", "p50", "p95", "max (ms)")
    for each in (*report.lags, report.next_page):
        lags.add_row(
            each.what,
            f"{each.seen:,}",
            f"{each.unseen:,}",
            *(f"{value:,.0f}" for value in (each.p50_ms, each.p95_ms, each.max_ms)),
        )
    out.print(lags)
    out.print(
        f"likes in the next page: {report.likes_counted} of {report.likes} counted, "
        f"{report.likes_ranked} of {report.likes} ranked by"
    )
    for missed in report.likes_missed:
        out.print(f"missed {missed}", markup=False)
    refreshes = Table("precomputed model", "refreshed in (ms)", "rows read")
    for refresh in report.refreshes:
        refreshes.add_row(refresh.model, f"{refresh.duration_ms:,}", f"{refresh.read_rows:,}")
    out.print(refreshes)
