"""
The saturation of posts, slowly and obviously: what every implementation of it is compared with.

Going down a ranking, each post takes the first free place that is at least 3 behind its author's
previous post and, when there is such a post, behind the first five. There are as many places as
posts; who finds none goes to the end, in order of rank, and places nobody could take are closed.
In the continuation of a session the places go on from those shown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

DISTANCE_PLACES = 3
HEAD_PLACES = 5

Post = TypeVar("Post")


def may_stand(author: int, before: Sequence[int | None]) -> bool:
    """Say whether a post of an author may come next, behind posts of these authors."""
    if author in before[:HEAD_PLACES] and len(before) < HEAD_PLACES:
        return False
    return author not in before[-(DISTANCE_PLACES - 1) :]


def saturated(
    ranked: Sequence[Post], author_of: Callable[[Post], int], shown: Sequence[int | None] = ()
) -> list[Post]:
    """
    Return a ranking in the order it is served.

    `shown` are the authors of the posts the session was shown, in their order; None is nobody.
    """
    waiting = list(ranked)
    places: list[Post | None] = []
    before = list(shown)
    for _ in ranked:
        best = next((post for post in waiting if may_stand(author_of(post), before)), None)
        if best is not None:
            waiting.remove(best)
        places.append(best)
        before.append(None if best is None else author_of(best))
    return [*(post for post in places if post is not None), *waiting]


def crowded_places(authors: Sequence[int], shown: Sequence[int | None] = ()) -> list[int]:
    """Return the places (1 is the first) of a served list that break the rule, if any."""
    everyone = [*shown, *authors]
    return [
        place
        for place, author in enumerate(authors, start=1)
        if not may_stand(author, everyone[: len(shown) + place - 1])
    ]
