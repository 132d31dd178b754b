"""The posts feed: what it is ranked by, and what stands in while that is away."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from api.counters.overlay import Overlay
from api.counters.store import CounterStore
from api.counters.tail import Tail
from api.cursor import CursorCodec, Surface
from api.feed.queries import PostQueries, TimelineQueries
from api.feed.schemas import COUNTERS, FeedPost, PostsAlgorithm
from api.snapshots.ranking import Ranked, Rankings
from api.snapshots.store import now_ms
from api.snapshots.walk import Walks
from api.surfaces.reader import FeedReader
from api.surfaces.rows import PersonalRanking, instant_of
from api.surfaces.schemas import Window

TIMELINE_WINDOW = Window.DAY  # whose chart the timeline has beside followees' posts
TIMELINE_ITEMS = 500  # count, one ranking

# The posts of a window's chart, best first, from memory or Redis; empty when it is not known.
TrendingIds = Callable[[Window], Awaitable[Sequence[int]]]


class TimelineRanking:
    """`algo=timeline`: posts of followees and of the day's chart, newest first, from Postgres."""

    surface = Surface.POSTS_TIMELINE

    def __init__(self, queries: TimelineQueries, trending_ids: TrendingIds) -> None:
        self.circuit = queries.circuit
        self._queries = queries
        self._trending_ids = trending_ids

    async def ranked(
        self, viewer_id: int, as_of_ms: int | None, variant: str, shown: Sequence[int]
    ) -> Ranked:
        """Return the viewer's timeline without what was shown; it has no variants."""
        clock_ms = as_of_ms or now_ms()
        trending_ids = await self._trending_ids(TIMELINE_WINDOW)
        items = await self._queries.timeline(
            viewer_id, instant_of(clock_ms), trending_ids, shown, TIMELINE_ITEMS
        )
        return Ranked(clock_ms, items)


def live_posts(counters: CounterStore) -> Overlay:
    """Return what puts live counters on posts."""
    return Overlay(counters, "post", Tail(FeedPost, COUNTERS))


def posts_feed(
    queries: PostQueries,
    timelines: TimelineQueries,
    trending_ids: TrendingIds,
    walks: Walks,
    cursors: CursorCodec,
    counters: CounterStore,
) -> FeedReader[PostsAlgorithm]:
    """Return the feed of posts; the timeline stands in for the ranking."""
    timeline = TimelineRanking(timelines, trending_ids)
    rankings: dict[PostsAlgorithm, Rankings] = {
        PostsAlgorithm.CH: [PersonalRanking(Surface.POSTS, queries), timeline],
        PostsAlgorithm.TIMELINE: [timeline],
    }
    return FeedReader(rankings, live_posts(counters), walks, cursors)
