"""What is kept of a list between requests; everything else is as of the answer."""

from __future__ import annotations

from typing import Any

from msgspec import Struct


class Place(Struct, frozen=True, array_like=True):
    """
    One user of a list, and what speaks for them; add fields at the end only.

    `related_ids` is by whom they were found: users both follow, or creators the viewer watches.
    `closeness` is affinity for a suggested user, closeness for a creator.
    """

    user_id: int
    score: float
    reasons: list[str]
    related_ids: list[int]
    shared_follows: int
    closeness: float
    followers_gained: int


class Card(Struct, frozen=True, array_like=True):
    """What is shown of a user; `videos` as Postgres gives them."""

    user_id: int
    username: str | None
    follower_count: int
    videos: list[dict[str, Any]]
    is_followed: bool
    is_blocked: bool


class Ranked(Struct, frozen=True, array_like=True):
    """
    A viewer's list, as it was ranked under `mark` when everything up to `position` had landed.

    `cards` are of the same moment, for when Postgres is away; None when it was away then.
    """

    as_of_ms: int
    mark: str
    position: int
    release_ms: int
    places: list[Place]
    cards: dict[int, Card] | None = None
