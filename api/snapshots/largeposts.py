"""
Posts of authors with too many followers to touch each: readers find out whether one concerns them.

Redis has a short list of who posted, in order of arrival; every process keeps a copy. A first page
of posts that is a hit, but was ranked before such a post could be in it, asks Postgres once whether
its viewer follows the author. If so it is ranked anew, else the snapshot notes how far it was
checked.

What it costs: four small reads of Redis a second and process; and at most one query of Postgres (a
step in a key per author) per snapshot and post, only of viewers who come back to a snapshot, at
most `CHECKS_AT_ONCE` at a time. Whoever has no answer within `CHECK_SECONDS` is served the snapshot
it has, and asks the next time.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

from api.metrics import LARGE_POST_CHECKS
from api.optional import OptionalReads
from api.settings import Settings
from api.snapshots.landed import LandedWatch
from api.snapshots.watch import Watch
from api.stores import Postgres, RedisStore, StoreUnavailableError

POSTS_KEY = "posts:large:v1"
POSTS_MOST = 1_000  # newest ones (count)
POSTS_KEPT_SECONDS = 3_600

CHECKS_AT_ONCE = 2  # queries of one process (count)
CHECK_SECONDS = 0.1

FOLLOWS_ANY = (Path(__file__).parent / "sql" / "postgres" / "follows_any.sql").read_text()


class Entry(NamedTuple):
    """Place of a post in the list: Redis' clock (milliseconds), and a number within it."""

    at_ms: int
    number: int

    @property
    def text(self) -> str:
        """The place as Redis writes it."""
        return f"{self.at_ms}-{self.number}"

    @classmethod
    def of(cls, text: str) -> Entry:
        """Read `text`; the beginning of time when it is empty."""
        at_ms, _, number = text.partition("-")
        return cls(int(at_ms or 0), int(number or 0))


class LargePost(NamedTuple):
    """A large author's post, or a post they took away."""

    entry: Entry
    author_id: int
    position: int


class LargePosts(Watch):
    """Knows the latest posts of large authors, as long as a snapshot may lack them."""

    def __init__(
        self, redis: RedisStore, postgres: Postgres, landed: LandedWatch, settings: Settings
    ) -> None:
        super().__init__()
        self._redis = redis
        self._postgres = postgres
        self._landed = landed
        # The other processes learn of a landing up to a poll later; a second is plenty.
        self._kept_seconds = settings.posts_fresh_seconds + 1
        self._posts: list[LargePost] = []
        self._last = Entry(0, 0)
        self._highest = 0
        # Until when a fresh snapshot may lack it (`time.monotonic`): known once it has landed.
        self._until: dict[Entry, float] = {}
        self._checks = OptionalReads[bool]("large_posts", CHECKS_AT_ONCE, CHECK_SECONDS)

    def missing(self, refreshed_position: int, checked: str) -> list[LargePost]:
        """
        Return what can be ranked since a snapshot was, in order of arrival.

        Without what was checked already; and up to the first that cannot be, so that one can
        say "checked up to here".
        """
        if refreshed_position >= self._highest:
            return []
        after = Entry.of(checked)
        found = []
        for post in self._posts:
            if post.entry <= after:
                continue
            if post.position > self._landed.refreshed:
                break
            if post.position > refreshed_position:
                found.append(post)
        return found

    @property
    def latest(self) -> str:
        """The latest entry this process knows, as `after` takes it."""
        return self._last.text

    def after(self, checked: str) -> list[LargePost]:
        """Return what came after an entry, landed or not, in order of arrival."""
        entry = Entry.of(checked)
        return [post for post in self._posts if post.entry > entry]

    async def is_follower(self, viewer_id: int, author_ids: Sequence[int]) -> bool | None:
        """Say whether a viewer follows one of these authors; None when it cannot be said now."""
        try:
            is_follower = await self._checks.run(lambda: self._ask(viewer_id, author_ids))
        except StoreUnavailableError:
            LARGE_POST_CHECKS.labels("failed").inc()
            return None
        LARGE_POST_CHECKS.labels("follower" if is_follower else "stranger").inc()
        return is_follower

    async def _ask(self, viewer_id: int, author_ids: Sequence[int]) -> bool:
        rows = await self._postgres.rows(
            FOLLOWS_ANY, {"viewer_id": viewer_id, "author_ids": list(author_ids)}
        )
        return bool(rows[0]["is_follower"])

    async def stop(self) -> None:
        """End the polling, and let checks under way finish; each is bounded by its timeout."""
        await super().stop()
        await self._checks.close()

    async def look(self) -> None:
        """Read what was posted since the last look, and drop what every snapshot has by now."""
        after = f"({self._last.text}"
        arrived = cast(
            "list[tuple[bytes, dict[bytes, bytes]]]",
            await self._redis.run(
                lambda: self._redis.client.xrange(POSTS_KEY, after, "+", POSTS_MOST)
            ),
        )
        for entry_text, fields in arrived:
            self._last = Entry.of(entry_text.decode())
            self._posts.append(post_of(self._last, fields))
        self._forget()

    def _forget(self) -> None:
        now = time.monotonic()
        until = {
            post.entry: self._until.get(post.entry, now + self._kept_seconds)
            for post in self._posts[-POSTS_MOST:]
            if post.position <= self._landed.refreshed
        }
        self._posts = [
            post for post in self._posts[-POSTS_MOST:] if until.get(post.entry, now) >= now
        ]
        self._until = until
        self._highest = max((post.position for post in self._posts), default=0)


def post_of(entry: Entry, fields: dict[Any, bytes]) -> LargePost:
    """Return a post as Redis lists it; `now` as a position is the time of its arrival."""
    position = fields[b"position"]
    return LargePost(
        entry,
        int(fields[b"author"]),
        entry.at_ms if position == b"now" else int(position),
    )
