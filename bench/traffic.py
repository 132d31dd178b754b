"""Batches of events as clients would send them: real items, likely actions, some of it twice."""

from __future__ import annotations

import bisect
import itertools
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import msgspec
import psycopg
from msgspec import Struct

BATCH_EVENTS = 100  # count
# Of all events, those sent before: half of them in batches sent again as a whole.
DUPLICATE_SHARE = 0.2
RESENT_SHARE = DUPLICATE_SHARE / 2
RESENT_WITHIN = 500  # batches back (count): a client tries again within seconds
MS = 1000

# What follows an impression, of 1.26 million real ones (KuaiRand): most are played, few are
# reacted to. Comments and shares are rarer still there; raised, so that every path is walked.
VIEW_SHARE = 0.7
LIKE_SHARE = 0.03
COMMENT_SHARE = 0.005
SHARE_SHARE = 0.005

DEVICES = ("Pixel 9", "iPhone 17", "Galaxy S25", "Redmi Note 15")
APP_VERSIONS = ("2.10.3", "2.11.0", "3.0.0-beta.1")

ITEMS = """
select 'video' as item_type, videos.id, coalesce(totals.views, 0) + 1 as weight
from app.videos
left join app.video_engagement as totals on videos.id = totals.video_id
where not videos.deleted and videos.status = 'published'
union all
select 'post', posts.id, coalesce(totals.exposures, 0) + 1
from app.posts
left join app.post_engagement as totals on posts.id = totals.post_id
where not posts.deleted
order by item_type, id
"""


class Item(Struct, frozen=True):
    """A video or post, and how often it is chosen compared with the others."""

    item_type: str
    item_id: int
    weight: int


class Event(Struct, frozen=True, omit_defaults=True):
    """One event as it is sent; whose it is, the token says."""

    event_time: datetime
    item_id: str
    item_type: str
    action: str
    device: str
    app_ver: str
    dwell_ms: int = 0
    watch_ms: int = 0
    completion: float | None = None

    def key(self, viewer_id: int) -> int:
        """Return what `app.event_key` makes of it."""
        second = int(self.event_time.timestamp())
        text = f"{viewer_id}:{self.item_type}:{self.item_id}:{self.action}:{second}"
        return int.from_bytes(sha256(text.encode()).digest()[:8], "big", signed=True)


class Batch(Struct, frozen=True):
    """One request: whose, its body, and the keys of its distinct events."""

    viewer_id: int
    body: bytes
    keys: tuple[int, ...]
    events: int


def items_of(postgres_url: str) -> list[Item]:
    """Return every public item with its popularity so far; raises `SystemExit` without any."""
    with psycopg.connect(postgres_url) as connection:
        items = [Item(*row) for row in connection.execute(ITEMS)]
    if not items:
        raise SystemExit("there is nothing to watch here: load data first (`./nova import …`)")
    return items


class Traffic:
    """
    Makes batches of viewers who have done nothing before; the same seed makes the same ones.

    A viewer meets an item once, so every distinct event is new, likes included.
    """

    def __init__(
        self, items: Sequence[Item], viewers: Sequence[int], *, seed: int = 0, ends_at: datetime
    ) -> None:
        self._items = items
        self._weights = list(itertools.accumulate(item.weight for item in items))
        self._viewers = viewers
        self._met: dict[int, set[int]] = {viewer: set() for viewer in viewers}
        self._ends_at = ends_at
        self._random = random.Random(seed)  # noqa: S311

    def batches(self, count: int, events: int = BATCH_EVENTS) -> list[Batch]:
        """Return batches in the order of sending, a fifth of their events for the second time."""
        made: list[Batch] = []
        # Every tenth batch, from the second on, was sent before.
        every = round(1 / RESENT_SHARE)
        repeated = round(events * (DUPLICATE_SHARE - RESENT_SHARE) / (1 - RESENT_SHARE))
        for number in range(count):
            if number % every == every - 1:
                made.append(self._random.choice(made[-RESENT_WITHIN:]))
            else:
                viewer_id = self._viewers[number % len(self._viewers)]
                made.append(self._batch(viewer_id, events, repeated))
        return made

    def _batch(self, viewer_id: int, events: int, repeated: int) -> Batch:
        fresh = list(itertools.islice(self._session(viewer_id), events - repeated))
        sent = fresh + self._random.choices(fresh, k=repeated)
        self._random.shuffle(sent)
        return batch_of(viewer_id, sent)

    def _session(self, viewer_id: int) -> Iterator[Event]:
        chance = self._random
        device, version = chance.choice(DEVICES), chance.choice(APP_VERSIONS)
        at = self._ends_at - timedelta(seconds=chance.uniform(200, 900))
        met = self._met[viewer_id]
        while True:
            place = bisect.bisect(self._weights, chance.random() * self._weights[-1])
            if place in met:
                # Popular items run out; a neighbour's turn comes sooner.
                place = chance.randrange(len(self._items))
            if place in met:
                if len(met) == len(self._items):
                    raise SystemExit(f"{len(met)} items are too few for so many events a viewer")
                continue
            met.add(place)
            item = self._items[place]
            common: dict[str, Any] = {
                "item_id": str(item.item_id),
                "item_type": item.item_type,
                "device": device,
                "app_ver": version,
            }
            yield Event(event_time=at, action="impression", **common)
            if chance.random() < VIEW_SHARE:
                if item.item_type == "video":
                    watch_ms = round(chance.expovariate(1 / 9_000))
                    completion = round(min(1.0, watch_ms / 15_000), 3)
                    yield Event(
                        event_time=at,
                        action="view",
                        watch_ms=watch_ms,
                        completion=completion,
                        **common,
                    )
                else:
                    yield Event(
                        event_time=at, action="dwell", dwell_ms=chance.randrange(30_000), **common
                    )
                for action, share in (
                    ("like", LIKE_SHARE),
                    ("comment", COMMENT_SHARE),
                    ("share", SHARE_SHARE),
                ):
                    if chance.random() < share:
                        yield Event(event_time=at, action=action, **common)
            at += timedelta(milliseconds=chance.randrange(200, 3_000))


def batch_of(viewer_id: int, events: Sequence[Event]) -> Batch:
    """Return the request that sends some events."""
    keys = tuple(sorted({event.key(viewer_id) for event in events}))
    return Batch(viewer_id, msgspec.json.encode({"events": events}), keys, len(events))


def new_viewers(count: int) -> range:
    """Return ids nobody had before, of a block named by the clock (seconds)."""
    first = int(datetime.now(UTC).timestamp()) * 1_000_000
    return range(first, first + count)
