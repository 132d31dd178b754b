"""
ClickHouse goes away, by SIGKILL or by hanging, while 50 clients read the posts feed.

Nobody is told of it but by `meta`: pages come from Postgres, by the same rules, also in the middle
of a walk; and when ClickHouse is back, feeds are ranked again, without anybody's help.

The whole system runs, with two workers of the service, over a Hacker News of a month.
"""

from __future__ import annotations

import http
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec
import pytest

from api.importing.hackernews import import_hackernews
from api.importing.readers import FIRST_READER, generate_readers
from api.stack.ranking import build_ranking, refresh_ranking
from api.workers.landing import land_until_settled
from bench.post_readers import Page, PostReaders
from tests.chaos.machine import Machine, own_folder, send
from tests.posts_rules import Rules, out_of_order, page_read
from tests.stories import write_stories

READERS = 500
CLIENTS = 50
SOME = 15  # pages (count)

# Slow on a busy machine is not what is tested here: `./nova bench posts-fallback` measures.
PATIENCE_SECONDS = 120.0
VARIABLES = {
    "NOVA_WORKERS": "2",
    "NOVA_RATE_LIMIT_PER_MINUTE": "1000000",
    "NOVA_LOG_LEVEL": "error",
    "NOVA_CLICKHOUSE_TIMEOUT_MS": "10000",
    "NOVA_POSTGRES_TIMEOUT_MS": "10000",
    "NOVA_REDIS_TIMEOUT_MS": "2000",
}


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    with own_folder("fallback") as root:
        machine = Machine(root, VARIABLES)
        try:
            machine.start_stores()
            stories = write_stories(root / "stories.csv")
            import_hackernews(machine.settings, stories, shift_to_now=True)
            generate_readers(machine.settings, READERS)
            build_ranking(machine.settings.clickhouse_url, machine.system.data_dir)
            land_until_settled(machine.settings)
            refresh_ranking(machine.settings.clickhouse_url)
            machine.start()
            yield machine
        finally:
            machine.close()


@pytest.mark.timeout(480)
@pytest.mark.parametrize("way", ["killed", "hung"])
def test_clickhouse_is_away_while_clients_read(machine: Machine, way: str) -> None:
    # Each way has viewers of its own: nobody has a ranking left from before.
    first = FIRST_READER + (READERS // 2 if way == "hung" else 0)
    viewers = range(first, first + READERS // 2)
    clickhouse = machine.processes["clickhouse"]
    address = f"http://127.0.0.1:{machine.settings.port}"
    with PostReaders(address, viewers, machine.token, CLIENTS) as readers:
        readers.wait_for(
            lambda: len({page.viewer_id for page in readers.pages() if page.is_ranked}) >= CLIENTS,
            PATIENCE_SECONDS,
        )

        family = machine.family("clickhouse")
        if way == "killed":
            send(family, signal.SIGKILL)
            clickhouse.kill()
        else:
            send(family, signal.SIGSTOP)
        gone_at = time.monotonic()
        # Until many began to read without it, and many went on.
        readers.wait_for(
            lambda: all(
                sum(page.is_first == is_first for page in timelines(readers.pages(gone_at))) >= SOME
                for is_first in (True, False)
            ),
            PATIENCE_SECONDS,
        )
        back_at = time.monotonic()
        if way == "killed":
            clickhouse.start()
        else:
            send(family, signal.SIGCONT)
        answers_at = time.monotonic()
        # By itself; and not once only, in one process of two.
        readers.wait_for(
            lambda: sum(page.is_ranked for page in readers.first_pages(answers_at)) >= SOME,
            PATIENCE_SECONDS,
        )

    # No walk was refused a page.
    pages = readers.pages()
    assert Counter(page.status for page in pages) == {http.HTTPStatus.OK: len(pages)}
    # While it was away, whoever began got a timeline and was told; a walk under way got either the
    # pages that had been ranked before, or a timeline.
    assert all(page.is_timeline for page in readers.first_pages(gone_at, back_at))
    assert all(page.is_timeline or page.is_ranked for page in pages)
    # Some began in a ranking and went on in a timeline.
    walks = [walk for walk in readers.walks if walk]
    assert any(walk[0].is_ranked and timelines(walk) for walk in walks)

    rules = Rules(machine.settings.postgres_url, viewers)
    for walk in walks:
        assert walk[0].is_first
        read = [
            page_read(
                msgspec.json.decode(page.body.data),
                page.body.meta.as_of,
                page.body.meta.total_count,
            )
            for page in walk
            if page.body
        ]
        items = [item for page in read for item in page.items]
        assert list(rules.broken(walk[0].viewer_id, items)) == []
        assert out_of_order(read) == []
    print(told(way, readers, gone_at, back_at, answers_at))


def timelines(pages: Sequence[Page]) -> list[Page]:
    """Those that came from Postgres."""
    return [page for page in pages if page.is_timeline]


def told(way: str, readers: PostReaders, gone_at: float, back_at: float, answers_at: float) -> str:
    """What it was like, for whoever reads the log; figures are `./nova bench posts-fallback`'s."""
    starts = readers.first_pages(answers_at)
    ranked = next(page for page in starts if page.is_ranked)
    last = max((page.ended_at for page in timelines(starts)), default=answers_at)
    slow = sorted(page.latency_ms for page in readers.pages(gone_at, back_at))
    return (
        f"{way}: {readers.summary()}; away {back_at - gone_at:.1f} s; while away"
        f" p50 {slow[len(slow) // 2]:.0f} ms, p95 {slow[len(slow) * 95 // 100]:.0f} ms;"
        f" ranked again {ranked.ended_at - answers_at:.1f} s after it answers,"
        f" last timeline after {last - answers_at:.1f} s"
    )
