"""What the answers of discovery look like."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

from api.surfaces.schemas import Count, Id

Username = Annotated[str | None, Meta(description="Null when none is known")]
Rate = Annotated[float, Meta(ge=0, le=1)]
Gained = Annotated[
    int, Meta(description="Followers more than a day before (count); below 0 when some left")
]
Degraded = Literal["none", "no_cache", "stale", "popular"]


class UserName(Struct, frozen=True):
    """A user by name."""

    user_id: Id
    username: Username


class SuggestedUser(Struct, frozen=True):
    """Somebody the viewer may want to follow, and why."""

    user_id: Id
    username: Username
    follower_count: Count
    score: Annotated[Rate, Meta(description="0 for whom nothing but their growth speaks")]
    reasons: Annotated[
        list[Literal["shared_follows", "affinity", "growing", "popular"]],
        Meta(
            description="What speaks for them: they follow whom the viewer follows; the viewer "
            "reacted to what they published in 90 days; or, where nothing else does, that many "
            "began to follow them in a day, or follow them at all"
        ),
    ]
    shared_follows: Annotated[
        Count, Meta(description="Users both follow, of the viewer's latest 200")
    ]
    shared_users: Annotated[
        list[UserName], Meta(description="Some of these, those with the fewest followers first")
    ]
    affinity: Annotated[Rate, Meta(description="1 for the author the viewer reacted to most")]
    followers_gained: Gained


class PreviewVideo(Struct, frozen=True):
    """A video of a creator, on their card."""

    id: Id
    title: str
    duration_seconds: Annotated[float, Meta(ge=0)]
    view_count: Count
    like_count: Count
    created_at: datetime
    thumbnail_url: str | None
    streaming_url: str


class DiscoveredCreator(Struct, frozen=True):
    """A creator the viewer does not follow, and why they are shown."""

    creator_id: Id
    username: Username
    follower_count: Count
    score: Rate
    reasons: Annotated[
        list[Literal["watched_together", "growing", "popular"]],
        Meta(
            description="What speaks for them: whoever watches what the viewer watches watches "
            "them; many began to follow them in a day; or, where neither does, many follow them"
        ),
    ]
    closeness: Annotated[Rate, Meta(description="1 for the creator closest to what they watch")]
    close_creators: Annotated[
        list[UserName], Meta(description="Watched creators they are closest to")
    ]
    followers_gained: Gained
    preview_videos: Annotated[
        list[PreviewVideo], Meta(description="The newest, at least one and at most three")
    ]


class DiscoveryMeta(Struct, frozen=True):
    """How a list came about."""

    as_of: Annotated[datetime, Meta(description="The clock of the ranking")]
    cache_hit: Annotated[bool, Meta(description="True when an earlier ranking was served")]
    degraded: Annotated[
        Degraded,
        Meta(
            description="What was missing: nothing; Redis; ClickHouse or Postgres, and an earlier "
            "list is served; or ClickHouse, and who grows fastest is served instead"
        ),
    ]
    fallback: Annotated[
        bool, Meta(description="True when something older or simpler was served instead")
    ]
    response_time_ms: Annotated[float, Meta(ge=0, description="Time in this service (ms)")]
    total_count: Annotated[int, Meta(ge=0, description="Users in `data` (count)")]


class SuggestedUsersPage(Struct, frozen=True):
    """Users to follow, best first; there is one page."""

    data: list[SuggestedUser]
    has_more: bool
    next_cursor: None
    meta: DiscoveryMeta


class CreatorsPage(Struct, frozen=True):
    """Creators to discover, best first; there is one page."""

    data: list[DiscoveredCreator]
    has_more: bool
    next_cursor: None
    meta: DiscoveryMeta
