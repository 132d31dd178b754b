"""
The saturation of posts, slowly and obviously: what every implementation of it is compared with.

Every place goes to the best post not yet placed whose author may have it: none of their posts is on
the two places before, nor, among the first five, on any before. When nobody left may have a place,
the best post left takes it all the same: order degrades, nothing is dropped. In the continuation of
a session the places go on from those shown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

WINDOW_PLACES = 3
HEAD_PLACES = 5

Post = TypeVar("Post")


def may_stand(author: int, before: Sequence[int | None]) -> bool:
    """Say whether a post of an author may come next, behind posts of these authors."""
    if len(before) < HEAD_PLACES:
        return author not in before
    return author not in before[1 - WINDOW_PLACES :]


def saturated(
    ranked: Sequence[Post], author_of: Callable[[Post], int], shown: Sequence[int | None] = ()
) -> list[Post]:
    """
    Return a ranking in the order it is served.

    `shown` are the authors of the posts the session was shown, in their order; None is nobody.
    """
    waiting = list(ranked)
    served: list[Post] = []
    before = list(shown)
    while waiting:
        best = next((post for post in waiting if may_stand(author_of(post), before)), waiting[0])
        waiting.remove(best)
        served.append(best)
        before.append(author_of(best))
    return served


def crowded_places(authors: Sequence[int], shown: Sequence[int | None] = ()) -> list[int]:
    """Return the places (1 is the first) of a served list that break the rule, if any."""
    everyone = [*shown, *authors]
    return [
        place
        for place, author in enumerate(authors, start=1)
        if not may_stand(author, everyone[: len(shown) + place - 1])
    ]
