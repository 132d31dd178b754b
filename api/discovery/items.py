"""What a client is shown of a listed user."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from api.discovery.ranked import Card
from api.discovery.reader import Listed
from api.discovery.schemas import DiscoveredCreator, PreviewVideo, SuggestedUser, UserName
from api.reels.addresses import Addresses


def suggested_user(listed: Listed) -> SuggestedUser:
    """Return somebody to follow."""
    return msgspec.convert(
        {
            "user_id": str(listed.card.user_id),
            "username": listed.card.username,
            "follower_count": listed.card.follower_count,
            "score": listed.place.score,
            "reasons": listed.place.reasons,
            "shared_follows": listed.place.shared_follows,
            "shared_users": names(listed.related),
            "affinity": listed.place.closeness,
            "followers_gained": listed.place.followers_gained,
        },
        SuggestedUser,
    )


def discovered_creator(listed: Listed, addresses: Addresses) -> DiscoveredCreator:
    """Return a creator, with some videos."""
    return msgspec.convert(
        {
            "creator_id": str(listed.card.user_id),
            "username": listed.card.username,
            "follower_count": listed.card.follower_count,
            "score": listed.place.score,
            "reasons": listed.place.reasons,
            "closeness": listed.place.closeness,
            "close_creators": names(listed.related),
            "followers_gained": listed.place.followers_gained,
            "preview_videos": [preview(video, addresses) for video in listed.card.videos],
        },
        DiscoveredCreator,
    )


def names(cards: list[Card]) -> list[UserName]:
    """Return users by name."""
    return [UserName(str(card.user_id), card.username) for card in cards]


def preview(video: Mapping[str, Any], addresses: Addresses) -> PreviewVideo:
    """Return a video of a card."""
    return PreviewVideo(
        id=str(video["video_id"]),
        title=video["title"],
        duration_seconds=video["duration_ms"] / 1000,
        view_count=video["views"],
        like_count=video["likes"],
        # JSON of Postgres: a text, and not in the form of every other time we answer.
        created_at=datetime.fromisoformat(video["created_at"]).astimezone(UTC),
        thumbnail_url=addresses.media(video["thumbnail_url"]),
        streaming_url=addresses.stream(video["video_id"]),
    )
