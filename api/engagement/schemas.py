"""What viewers send to act on items and each other, and what they are told."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from api.events.schemas import BLANK, SAYS_SOMETHING, FeedRequestId, Time
from api.ids import ItemId
from api.patterns import END, form
from api.surfaces.schemas import Count, Id

LONGEST_COMMENT = 2_000  # characters
LONGEST_POST = 5_000
MOST_HASHTAGS = 30
LONGEST_HASHTAG = 100
LONGEST_SHARE_TARGET = 64
MOST_WATCHES = 100

HASHTAG = form(rf"^[^#{BLANK}]+{END}", "a text without hash signs and spaces")

Username = Annotated[str | None, Meta(description="Null when none is known, or deleted")]


# ---------- requests


class Watch(Struct, frozen=True):
    """One playback. Without `event_time` it was now."""

    completion_percent: Annotated[
        float, Meta(ge=0, le=100, description="How much of the video was played (percent)")
    ]
    watch_ms: Annotated[int, Meta(ge=0, le=86_400_000, description="Time played (milliseconds)")]
    feed_request_id: FeedRequestId | None = None
    event_time: Time | None = None


class WatchOfVideo(Struct, frozen=True):
    """One playback in a batch. Without `event_time` it was now, and is another one in a retry."""

    video_id: ItemId
    completion_percent: Annotated[
        float, Meta(ge=0, le=100, description="How much of the video was played (percent)")
    ]
    watch_ms: Annotated[int, Meta(ge=0, le=86_400_000, description="Time played (milliseconds)")]
    feed_request_id: FeedRequestId | None = None
    event_time: Time | None = None


class WatchBatch(Struct, frozen=True):
    """Up to 100 playbacks, stored all or none."""

    watches: Annotated[list[WatchOfVideo], Meta(max_length=MOST_WATCHES)]


class Share(Struct, frozen=True):
    """Where an item was shared to."""

    share_target: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=LONGEST_SHARE_TARGET,
            pattern=SAYS_SOMETHING,
            description="An app or a place, as the client names it",
        ),
    ]


class NewComment(Struct, frozen=True):
    """What a comment says."""

    body: Annotated[str, Meta(min_length=1, max_length=LONGEST_COMMENT, pattern=SAYS_SOMETHING)]


class NewPost(Struct, frozen=True):
    """A text post."""

    body: Annotated[str, Meta(min_length=1, max_length=LONGEST_POST, pattern=SAYS_SOMETHING)]
    hashtags: Annotated[
        list[
            Annotated[
                str,
                Meta(
                    min_length=1,
                    max_length=LONGEST_HASHTAG,
                    pattern=HASHTAG,
                    description="Without the hash sign",
                ),
            ]
        ],
        Meta(max_length=MOST_HASHTAGS),
    ] = []


# ---------- answers


class Liked(Struct, frozen=True):
    """Likes of an item, and whether the viewer's is among them."""

    like_count: Count
    liked: bool


class Watched(Struct, frozen=True):
    """Views of a video."""

    view_count: Count


class WatchedAll(Struct, frozen=True):
    """What became of a batch of playbacks (counts)."""

    received: Count
    deduped: Annotated[int, Meta(ge=0, description="Had been there already")]


class Shared(Struct, frozen=True):
    """Shares of an item."""

    share_count: Count


class Comment(Struct, frozen=True):
    """One comment on a video or post."""

    id: Id
    item_id: Id
    user_id: Id
    username: Username
    body: str
    created_at: datetime


class AddedComment(Struct, frozen=True):
    """The viewer's new comment, and the comments of the item with it."""

    id: Id
    item_id: Id
    user_id: Id
    username: Username
    body: str
    created_at: datetime
    comment_count: Count


class CommentCount(Struct, frozen=True):
    """Comments of an item."""

    comment_count: Count


class CommentsMeta(Struct, frozen=True):
    """How a page came about."""

    response_time_ms: Annotated[float, Meta(ge=0, description="Time in this service (ms)")]


class CommentPage(Struct, frozen=True):
    """A page of comments, newest first. `next_cursor` is null where they end."""

    data: list[Comment]
    has_more: bool
    next_cursor: str | None
    meta: CommentsMeta


class Hidden(Struct, frozen=True):
    """Whether the viewer is spared a video."""

    hidden: bool


class Following(Struct, frozen=True):
    """Whether the viewer follows the user, and how many do."""

    following: bool
    follower_count: Count


class Blocked(Struct, frozen=True):
    """Whether the viewer blocks the user."""

    blocked: bool


class Post(Struct, frozen=True):
    """A post that was published."""

    post_id: Id
    author_id: Id
    created_at: datetime
