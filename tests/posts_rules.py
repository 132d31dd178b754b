"""What a feed of posts may hold, told from Postgres' tables alone: no query of ours is asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import psycopg

from tests.saturation import saturated

FOLLOWEE_WINDOW = timedelta(hours=72)
SEEN_WINDOW = timedelta(days=30)
MILLISECOND = timedelta(milliseconds=1)


class Item(NamedTuple):
    """A post on a page, as the API gives it."""

    post_id: int
    author_id: int
    created_at: datetime
    source: str
    score: float | None
    counters: tuple[int, ...]  # likes, comments, shares, exposures, dwell_ms_sum
    as_of: datetime


class PageRead(NamedTuple):
    """A page: its posts, and the ranking it says it is of."""

    items: list[Item]
    as_of: datetime
    total: int  # posts of the ranking (count)


def page_read(posts: Sequence[dict[str, Any]], as_of: datetime, total: int) -> PageRead:
    """Read the posts of a page."""
    items = [
        Item(
            int(post["post_id"]),
            int(post["author_id"]),
            datetime.fromisoformat(post["created_at"]),
            post["source"],
            post["score"],
            tuple(
                post[name] for name in ("likes", "comments", "shares", "exposures", "dwell_ms_sum")
            ),
            as_of,
        )
        for post in posts
    ]
    return PageRead(items, as_of, total)


class Rules:
    """Posts, and what some viewers have seen, follow and block; as they are when it is made."""

    def __init__(self, postgres_url: str, viewers: Sequence[int]) -> None:
        known = {"viewers": list(viewers)}
        with psycopg.connect(postgres_url) as postgres:
            postgres.execute("set timezone = 'UTC'")
            self.posts: dict[int, tuple[int, datetime]] = {
                post: (author, created_at)
                for post, author, created_at in postgres.execute(
                    "select id, author_id, created_at from app.posts where not deleted"
                )
            }
            self.counters: dict[int, tuple[int, ...]] = {
                post: tuple(counts)
                for post, *counts in postgres.execute(
                    "select post_id, likes, comments, shares, exposures, dwell_ms"
                    " from app.post_engagement"
                )
            }
            self.seen: dict[tuple[int, int], datetime] = {
                (viewer, post): at
                for viewer, post, at in postgres.execute(
                    "select user_id, item_id, max(event_time) from app.events"
                    " where item_type = 'post' and action = 'view' and user_id = any(%(viewers)s)"
                    " group by 1, 2",
                    known,
                )
            }
            self.unwanted = set(
                postgres.execute(
                    "select distinct user_id, item_id from app.events where item_type = 'post'"
                    " and action = 'not_interested' and user_id = any(%(viewers)s)",
                    known,
                ).fetchall()
            )
            self.follows = set(
                postgres.execute(
                    "select follower_id, followee_id from app.follows"
                    " where not deleted and follower_id = any(%(viewers)s)",
                    known,
                ).fetchall()
            )
            self.blocks = set(
                postgres.execute(
                    "select blocker_id, blocked_id from app.blocks where not deleted"
                ).fetchall()
            )

    def broken(self, viewer: int, items: Sequence[Item]) -> Iterator[str]:
        """Say what in a walk should not be there, or be otherwise; its order aside."""
        for post_id, times in Counter(item.post_id for item in items).items():
            if times > 1:
                yield f"{post_id} comes {times} times"
        for item in items:
            if item.post_id not in self.posts:
                yield f"{item.post_id} is no post"
                continue
            author, created_at = self.posts[item.post_id]
            if item.author_id != author or abs(item.created_at - created_at) > MILLISECOND:
                yield f"{item.post_id} is not by {item.author_id} of {item.created_at}"
            if created_at > item.as_of:
                yield f"{item.post_id} is of the future"
            if author == viewer:
                yield f"{item.post_id} is their own"
            if {(viewer, author), (author, viewer)} & self.blocks:
                yield f"{item.post_id} is of somebody in a block with them"
            seen_at = self.seen.get((viewer, item.post_id))
            if seen_at is not None and seen_at > item.as_of - SEEN_WINDOW:
                yield f"{item.post_id} was seen at {seen_at}"
            if (viewer, item.post_id) in self.unwanted:
                yield f"{item.post_id} is of no interest to them"
            if item.counters != self.counters.get(item.post_id, (0, 0, 0, 0, 0)):
                yield f"{item.post_id} has counters {item.counters}"
            is_recent = created_at > item.as_of - FOLLOWEE_WINDOW
            if (item.source == "followee") != (is_recent and (viewer, author) in self.follows):
                yield f"{item.post_id} comes as {item.source}"


def out_of_order(pages: Sequence[PageRead]) -> list[str]:
    """
    Say where a walk from its first page on is not in the order its rankings have to be in.

    One ranking follows another where it ends, in the middle of a page too; saturation goes on.
    A page speaks of one of its rankings, so of the last one a walk has come into it may not know.
    """
    items = [item for page in pages for item in page.items]
    totals = [total for _, total in dict.fromkeys((page.as_of, page.total) for page in pages)]
    if sum(totals) < len(items):
        totals.append(len(pages[-1].items))
    problems: list[str] = []
    start = 0
    for total in totals:
        ranking = items[start : start + total]
        shown = [item.author_id for item in items[:start]]
        for place, (item, due) in enumerate(
            zip(ranking, in_served_order(ranking, shown), strict=True), start=start + 1
        ):
            if item.post_id != due.post_id:
                problems.append(f"{item.post_id} is on place {place} instead of {due.post_id}")
        start += total
    if start < len(items):
        problems.append(f"{len(items)} posts of rankings of {start}")
    return problems


def in_served_order(items: Sequence[Item], shown: Sequence[int] = ()) -> list[Item]:
    """
    Return the top of one ranking in the order it has to be in, behind posts of `shown` authors.

    Best first, then saturated; a timeline has no scores, its best are the newest, and what only
    fills it comes behind. What is further down has no influence on it.
    """
    if all(item.score is not None for item in items):
        ranked = sorted(items, key=lambda item: (-(item.score or 0), -item.post_id))
    else:
        ranked = sorted(
            items,
            key=lambda item: (
                item.source.startswith("fill"),
                -item.created_at.timestamp(),
                -item.post_id,
            ),
        )
    return saturated(ranked, lambda item: item.author_id, shown)
