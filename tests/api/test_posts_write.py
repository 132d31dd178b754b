"""Posts: published and taken back by their author, and followers' feeds told."""

from __future__ import annotations

from typing import Any

import redis

from api.settings import Settings
from api.snapshots.touches import touched_key
from tests.api.conftest import Api, Token, World, new_id, problem_of

POSTS = "/api/v1/posts"


async def test_publish_and_take_back(writing: Api, bearer: Token, world: World) -> None:
    me = bearer(world.viewer)
    tags = ["sunset", "zürich", "t" * 100]
    response = await writing.post(POSTS, headers=me, json={"body": "look\n🌅", "hashtags": tags})
    made = response.json()
    assert response.status_code == 201
    assert response.headers["location"] == f"{POSTS}/{made['post_id']}"
    assert made["author_id"] == str(world.viewer)
    assert made["created_at"].endswith("Z")
    query = "select body, hashtags, author_id, deleted from app.posts where id = %s"
    stored = world.postgres.execute(query, (made["post_id"],)).fetchone()
    assert stored == ("look\n🌅", tags, world.viewer, False)

    others = await writing.delete(response.headers["location"], headers=bearer(world.other))
    problem_of(others, 403, "forbidden", "item_id")
    for _ in range(2):
        deleted = await writing.delete(response.headers["location"], headers=me)
        assert (deleted.status_code, deleted.content) == (204, b"")
    assert world.one("select deleted from app.posts where id = %s", made["post_id"])


async def test_feeds_of_followers_learn_of_it(
    writing: Api, bearer: Token, world: World, storing: Settings
) -> None:
    await writing.post(f"/api/v1/users/{world.author}/follow", headers=bearer(world.viewer))
    author = bearer(world.author)
    with redis.Redis.from_url(storing.redis_url) as client:

        def follower_is_told() -> bool:
            return bool(client.delete(touched_key(world.viewer)))

        assert follower_is_told()  # of the follow
        made = await writing.post(POSTS, headers=author, json={"body": "news"})
        assert follower_is_told()
        await writing.delete(made.headers["location"], headers=author)
        assert follower_is_told()
        assert not client.exists(touched_key(world.other))


BAD_POSTS: list[tuple[dict[str, Any], str]] = [
    ({}, "body"),
    ({"body": ""}, "body"),
    ({"body": "  "}, "body"),
    ({"body": "x" * 5_001}, "body"),
    ({"body": ["x"]}, "body"),
    ({"body": "x", "hashtags": None}, "hashtags"),
    ({"body": "x", "hashtags": "sunset"}, "hashtags"),
    ({"body": "x", "hashtags": ["t"] * 31}, "hashtags"),
    ({"body": "x", "hashtags": ["t", ""]}, "hashtags[1]"),
    ({"body": "x", "hashtags": ["t", "two words"]}, "hashtags[1]"),
    ({"body": "x", "hashtags": ["#t"]}, "hashtags[0]"),
    ({"body": "x", "hashtags": ["t" * 101]}, "hashtags[0]"),
    ({"body": "x", "hashtags": [None]}, "hashtags[0]"),
]


async def test_bad_posts_name_the_field(writing: Api, bearer: Token, world: World) -> None:
    for body, field in BAD_POSTS:
        response = await writing.post(POSTS, headers=bearer(world.viewer), json=body)
        problem_of(response, 400, "invalid-request", field)
    assert world.one("select count(*) from app.posts where author_id = %s", world.viewer) == 0


async def test_the_largest_post(writing: Api, bearer: Token, world: World) -> None:
    tags = ["🌅" * 100] * 30
    response = await writing.post(
        POSTS, headers=bearer(world.viewer), json={"body": "ä" * 5_000, "hashtags": tags}
    )
    assert response.status_code == 201


async def test_what_is_not_there(writing: Api, bearer: Token, world: World) -> None:
    for post, status, slug in (
        (new_id(), 404, "not-found"),
        (2**63, 404, "not-found"),
        ("mine", 400, "invalid-request"),
    ):
        response = await writing.delete(f"{POSTS}/{post}", headers=bearer(world.viewer))
        problem_of(response, status, slug, "item_id")
    problem_of(await writing.delete(f"{POSTS}/{world.post}"), 401, "unauthenticated")
    problem_of(await writing.post(POSTS, json={"body": "x"}), 401, "unauthenticated")
