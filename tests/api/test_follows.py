"""Following and blocking: states, not deeds; and what feeds are told."""

from __future__ import annotations

import pytest
import redis

from api.settings import Settings
from api.snapshots.exclusions import hidden_key, hidden_users
from api.snapshots.touches import touched_key
from tests.api.conftest import Api, Token, World, new_id, problem_of

USERS = "/api/v1/users"


async def test_follow_and_unfollow(writing: Api, bearer: Token, world: World) -> None:
    address = f"{USERS}/{world.creator}/follow"
    me, other = bearer(world.viewer), bearer(world.other)
    nobody = await writing.delete(address, headers=me)
    assert nobody.json() == {"following": False, "follower_count": 0}
    for _ in range(2):
        response = await writing.post(address, headers=me)
        assert response.status_code == 200
        assert response.json() == {"following": True, "follower_count": 1}
    assert (await writing.post(address, headers=other)).json()["follower_count"] == 2
    for _ in range(2):
        response = await writing.delete(address, headers=me)
        assert response.json() == {"following": False, "follower_count": 1}


async def test_a_block_ends_follows(writing: Api, bearer: Token, world: World) -> None:
    me, other = bearer(world.viewer), bearer(world.other)
    await writing.post(f"{USERS}/{world.other}/follow", headers=me)
    await writing.post(f"{USERS}/{world.viewer}/follow", headers=other)
    for _ in range(2):
        response = await writing.post(f"{USERS}/{world.other}/block", headers=me)
        assert (response.status_code, response.json()) == (200, {"blocked": True})
    query = "select count(*) from app.follows where follower_id = any(%s) and not deleted"
    assert world.one(query, [world.viewer, world.other]) == 0
    for _ in range(2):
        response = await writing.delete(f"{USERS}/{world.other}/block", headers=me)
        assert response.json() == {"blocked": False}


async def test_nobody_follows_across_a_block(writing: Api, bearer: Token, world: World) -> None:
    me, other = bearer(world.viewer), bearer(world.other)
    await writing.post(f"{USERS}/{world.other}/block", headers=me)
    for headers, user in ((me, world.other), (other, world.viewer)):
        response = await writing.post(f"{USERS}/{user}/follow", headers=headers)
        problem_of(response, 403, "forbidden", "user_id")


async def test_feeds_learn_of_it(
    writing: Api, bearer: Token, world: World, storing: Settings
) -> None:
    """Who blocks and who is blocked hide from each other, until the last block is lifted."""
    pair = world.viewer, world.other
    with redis.Redis.from_url(storing.redis_url) as client:

        def hidden() -> list[bool]:
            decisions = [client.zrange(hidden_key(user), 0, -1, withscores=True) for user in pair]
            return [bool(hidden_users(of_user)) for of_user in decisions]

        await writing.post(f"{USERS}/{world.creator}/follow", headers=bearer(world.viewer))
        assert client.exists(touched_key(world.viewer))

        await writing.post(f"{USERS}/{world.other}/block", headers=bearer(world.viewer))
        assert client.exists(touched_key(world.other))
        assert hidden() == [True, True]
        await writing.post(f"{USERS}/{world.viewer}/block", headers=bearer(world.other))
        await writing.delete(f"{USERS}/{world.other}/block", headers=bearer(world.viewer))
        assert hidden() == [True, True]
        await writing.delete(f"{USERS}/{world.viewer}/block", headers=bearer(world.other))
        assert hidden() == [False, False]


@pytest.mark.parametrize("action", ["follow", "block"])
async def test_refusals(writing: Api, bearer: Token, world: World, action: str) -> None:
    for method in ("POST", "DELETE"):
        for user_id, status, slug in (
            (new_id(), 404, "not-found"),
            (2**63, 404, "not-found"),
            ("9" * 5_000, 404, "not-found"),
            ("09", 400, "invalid-request"),
            (world.deleted_user, 410, "gone"),
            (world.viewer, 400, "invalid-request"),
            ("me", 400, "invalid-request"),
        ):
            response = await writing.request(
                method, f"{USERS}/{user_id}/{action}", headers=bearer(world.viewer)
            )
            problem_of(response, status, slug, "user_id")
        response = await writing.request(method, f"{USERS}/{world.creator}/{action}")
        problem_of(response, 401, "unauthenticated")
