"""The posts feed: its pages, walks and cursors, ranked and as a timeline; and after a write."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
import redis

from api.feed.schemas import PostPage
from api.settings import Settings
from api.snapshots.watch import POLL_SECONDS
from tests.api.conftest import (
    POSTS,
    Api,
    Catalogue,
    Token,
    ids_of,
    page,
    problem_of,
    serving,
    walk,
)
from tests.api.feeds import refreshing_worker
from tests.api.posts import PostWorld, post_world, posts_settings
from tests.saturation import crowded_places

ALGORITHMS = ["ch", "timeline"]


@pytest.fixture(scope="module")
def module_settings(
    shared_postgres_url: str, redis_server: Any, ranked_clickhouse_url: str
) -> Settings:
    """Settings of this module's services."""
    return posts_settings(shared_postgres_url, redis_server.url, ranked_clickhouse_url)


@pytest.fixture(scope="module")
def world(module_settings: Settings, catalogue: Catalogue) -> Iterator[PostWorld]:
    """Posts to rank."""
    with post_world(module_settings, catalogue) as world:
        yield world


@pytest.fixture
def settings(module_settings: Settings, redis_url: str) -> Settings:
    """The settings, with an empty Redis."""
    return module_settings


@pytest.fixture
async def api(settings: Settings, world: PostWorld) -> AsyncIterator[Api]:
    """The service, with posts to rank."""
    async with serving(settings) as api:
        yield api


async def posts(api: Api, headers: dict[str, str], **parameters: Any) -> dict[str, Any]:
    """Ask for one page of posts."""
    return await page(api, headers, POSTS, **parameters)


# ---------- pages


async def test_a_ranked_page(api: Api, bearer: Token, world: PostWorld) -> None:
    response = await api.get(POSTS, headers=bearer(world.viewer()))
    body = msgspec.json.decode(response.content, type=PostPage)
    assert response.headers["cache-control"] == "private, no-store"
    assert len(body.data) == 50
    assert body.has_more
    assert (body.meta.algo, body.meta.variant) == ("ch", "default")
    assert (body.meta.cache_hit, body.meta.degraded, body.meta.fallback) == (False, "none", False)
    assert abs(datetime.now(UTC) - body.meta.as_of) < timedelta(minutes=1)
    assert body.meta.total_count >= len(world.posts_of(*world.authors[10:])) - 50
    assert all(item.score is not None and item.score > 0 for item in body.data)
    assert {item.source for item in body.data} <= {"followee", "trending", "affinity"}


async def test_a_timeline_page(api: Api, bearer: Token, world: PostWorld) -> None:
    viewer = world.viewer()
    response = await api.get(POSTS, headers=bearer(viewer), params={"algo": "timeline"})
    body = msgspec.json.decode(response.content, type=PostPage)
    assert len(body.data) == 50
    assert body.meta.algo == "timeline"
    # It was asked for: nothing is missing.
    assert (body.meta.degraded, body.meta.fallback) == ("none", False)
    assert all(item.score is None for item in body.data)
    assert {item.source for item in body.data} == {"followee"}
    # Newest first: what saturation puts off comes a few places later.
    theirs = world.posts_of(*world.authors[10:])
    newest = sorted(theirs, key=lambda post: world.created_at[post], reverse=True)
    assert {int(item.post_id) for item in body.data} <= set(newest[:70])
    assert int(body.data[0].post_id) == newest[0]


@pytest.mark.parametrize("algo", ALGORITHMS)
async def test_saturation_holds_across_pages_and_rankings(
    api: Api, bearer: Token, world: PostWorld, algo: str
) -> None:
    """To where authors run out: of those with posts left no three are enough to spread them."""
    shown, _ = await walk(api, bearer(world.viewer()), path=POSTS, algo=algo, limit=30, pages=8)
    authors = [world.author_of[post] for post in shown]
    assert len(set(authors)) > 10
    assert crowded_places(authors) == []


@pytest.mark.parametrize("algo", ALGORITHMS)
async def test_a_walk_shows_every_post_once(
    api: Api, bearer: Token, world: PostWorld, algo: str
) -> None:
    shown, cursor = await walk(api, bearer(world.viewer()), path=POSTS, algo=algo, limit=100)
    assert cursor is None
    assert len(shown) == len(set(shown))
    assert set(shown) >= set(world.author_of)


@pytest.mark.parametrize(("limit", "is_good"), [(0, False), (1, True), (100, True), (101, False)])
async def test_the_limit(
    api: Api, bearer: Token, world: PostWorld, limit: int, is_good: bool
) -> None:
    headers = bearer(world.viewer())
    response = await api.get(POSTS, headers=headers, params={"limit": limit})
    if is_good:
        assert len(response.json()["data"]) == limit
    else:
        problem_of(response, 400, "invalid-request", "limit")


@pytest.mark.parametrize("algo", ALGORITHMS)
async def test_since_tells_what_is_new_and_moves_nothing(
    api: Api, bearer: Token, catalogue: Catalogue, world: PostWorld, algo: str
) -> None:
    viewer = world.viewer()
    headers = bearer(viewer)
    first = await posts(api, headers, algo=algo, limit=10)
    cursor = first["next_cursor"]
    nothing = await posts(api, headers, since=cursor)
    assert (nothing["data"], nothing["has_more"]) == ([], False)
    assert nothing["meta"]["algo"] == algo

    new = {world.publish(author, timedelta(seconds=1)) for author in world.authors[-3:]}
    world.land()
    catalogue.refresh()
    forget_heads(world)
    news = await posts(api, headers, since=cursor, limit=2)
    assert len(news["data"]) == 2
    assert set(ids_of(news)) < new
    assert (news["has_more"], news["next_cursor"]) == (True, cursor)
    second = await posts(api, headers, cursor=cursor, limit=10)
    assert second["meta"]["as_of"] == first["meta"]["as_of"]
    assert not set(ids_of(second)) & (set(ids_of(first)) | new)


# ---------- cursors


async def test_cursors_belong_to_their_feed_and_algorithm(
    api: Api, bearer: Token, world: PostWorld
) -> None:
    headers = bearer(world.viewer())
    ranked = (await posts(api, headers))["next_cursor"]
    timeline = (await posts(api, headers, algo="timeline"))["next_cursor"]
    reels = (await page(api, headers))["next_cursor"]
    for path, parameters in (
        (POSTS, {"cursor": reels}),
        (POSTS, {"since": reels}),
        (POSTS, {"cursor": ranked, "algo": "timeline"}),
        (POSTS, {"cursor": timeline, "algo": "ch"}),
        ("/api/v1/reels", {"cursor": ranked}),
        ("/api/v1/reels", {"cursor": timeline}),
    ):
        response = await api.get(path, headers=headers, params=parameters)
        problem = problem_of(response, 400, "bad-cursor", next(iter(parameters)))
        assert problem["reason"] == "foreign-surface"
    for algo, cursor in (("ch", ranked), ("timeline", timeline)):
        for parameters in ({"cursor": cursor}, {"cursor": cursor, "algo": algo}):
            assert (await posts(api, headers, **parameters))["meta"]["algo"] == algo


@pytest.mark.parametrize("algo", ALGORITHMS)
async def test_redis_flushed_in_the_middle_of_a_calm_walk(
    api: Api, bearer: Token, world: PostWorld, algo: str
) -> None:
    """The rankings are made again, are the same, and go on at the same place."""
    headers = bearer(world.viewer())
    shown, cursor = await walk(api, headers, path=POSTS, algo=algo, limit=60, pages=2)
    forget(world, "*")
    rest, _ = await walk(api, headers, path=POSTS, cursor=cursor, limit=100)
    assert len(shown + rest) == len(set(shown + rest))
    assert set(shown + rest) >= set(world.author_of)


async def test_redis_flushed_while_the_timeline_moves(
    api: Api, bearer: Token, catalogue: Catalogue, world: PostWorld
) -> None:
    """It goes on below the oldest it has shown, though saturation put newer ones behind it."""
    viewer = world.viewer()
    headers = bearer(viewer)
    shown, cursor = await walk(api, headers, path=POSTS, algo="timeline", limit=40, pages=2)
    world.publish(world.authors[-1], timedelta(hours=1))
    forget(world, "*")
    rest, _ = await walk(api, headers, path=POSTS, cursor=cursor, limit=100)
    assert len(rest) > 300
    assert len(shown + rest) == len(set(shown + rest))
    world.land()
    catalogue.refresh()


# ---------- after a write


async def act(
    api: Api, headers: dict[str, str], path: str, method: str = "POST", **body: Any
) -> dict[str, Any]:
    """Send a write, which must be taken."""
    response = await api.request(method, f"/api/v1{path}", headers=headers, json=body or None)
    assert response.is_success, response.text
    return dict(response.json()) if response.content else {}


@pytest.mark.parametrize("algo", ALGORITHMS)
async def test_what_was_seen_stays_away_from_the_very_next_request(
    api: Api, bearer: Token, world: PostWorld, algo: str
) -> None:
    """By the filter at once; when that has expired, by the rule in SQL."""
    headers = bearer(world.viewer())
    first = await posts(api, headers, algo=algo, limit=20)
    ahead = await posts(api, headers, cursor=first["next_cursor"], limit=20)
    seen = {*ids_of(first)[:10:2], *ids_of(ahead)[:10:2]}
    event = {"item_type": "post", "action": "view", "device": "phone", "app_ver": "1.2.3"}
    now = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    await act(
        api,
        headers,
        "/events",
        events=[event | {"item_id": str(post), "event_time": now} for post in seen],
    )
    again = await posts(api, headers, algo=algo, limit=100)
    assert again["meta"]["cache_hit"]
    after = await posts(api, headers, cursor=first["next_cursor"], limit=20)
    for body in (again, after):
        assert seen.isdisjoint(ids_of(body))
    assert ids_of(after)[:10] == [post for post in ids_of(ahead) if post not in seen][:10]

    world.land()
    forget(world, "seen:*", "feed:*")
    anew, _ = await walk(api, headers, path=POSTS, algo=algo, limit=100)
    assert seen.isdisjoint(anew)
    assert set(anew) >= set(world.author_of) - seen


@pytest.mark.parametrize("algo", ALGORITHMS)
async def test_a_like_is_in_the_next_page(
    api: Api, bearer: Token, world: PostWorld, algo: str
) -> None:
    """Counted for everybody at once; and the liker's own next page is ranked with it."""
    headers, other = bearer(world.viewer()), bearer(world.viewer())
    body = await posts(api, headers, algo=algo)
    post, before = ids_of(body)[-1], body["data"][-1]["likes"]
    await posts(api, other, algo=algo, limit=100)
    await act(api, headers, f"/posts/{post}/like")
    for reader in (headers, other):
        [likes] = [
            item["likes"]
            for item in (await posts(api, reader, algo=algo, limit=100))["data"]
            if item["post_id"] == str(post)
        ]
        assert likes == before + 1
    anew = await posts(api, headers, algo=algo)
    assert anew["meta"]["as_of"] > body["meta"]["as_of"]
    if algo == "ch":
        ahead = ids_of(anew)[: ids_of(anew).index(post) + 1]
        assert len(ahead) < 50  # those of an author one likes rise


@pytest.mark.parametrize("algo", ALGORITHMS)
async def test_a_blocked_author_goes_at_once(
    api: Api, bearer: Token, world: PostWorld, algo: str
) -> None:
    headers = bearer(world.viewer())
    first = await posts(api, headers, algo=algo, limit=20)
    author = world.author_of[ids_of(first)[0]]
    await act(api, headers, f"/users/{author}/block")
    theirs = world.posts_of(author)
    under_way, _ = await walk(api, headers, path=POSTS, cursor=first["next_cursor"], limit=100)
    anew, _ = await walk(api, headers, path=POSTS, algo=algo, limit=100)
    assert theirs.isdisjoint(under_way)
    assert theirs.isdisjoint(anew)
    assert set(anew) >= set(world.author_of) - theirs


async def test_a_deleted_post_leaves_everybodys_pages_at_once(
    api: Api, bearer: Token, world: PostWorld
) -> None:
    """Also of who is told nothing, from the page they have and those they are on their way to."""
    follower, stranger = (bearer(world.viewer(follows)) for follows in (None, []))
    walks = []
    for reader in (follower, stranger):
        first = await posts(api, reader, limit=20)
        ahead = await posts(api, reader, cursor=first["next_cursor"], limit=20)
        walks.append((reader, first, ahead))
    # Of the first page and the next of each.
    gone = {
        next(post for post in ids_of(body) if post in world.author_of)
        for _, *bodies in walks
        for body in bodies
    }
    for post in gone:
        await act(api, bearer(world.author_of.pop(post)), f"/posts/{post}", "DELETE")
    for reader, first, ahead in walks:
        after = await posts(api, reader, cursor=first["next_cursor"], limit=20)
        left = [post for post in ids_of(ahead) if post not in gone]
        assert len(left) < len(ids_of(ahead))
        assert ids_of(after)[: len(left)] == left
        assert (len(after["data"]), after["meta"]["cache_hit"]) == (20, True)
        again = await posts(api, reader, limit=100)
        assert gone.isdisjoint(ids_of(again))
        assert again["meta"]["cache_hit"] is (reader is stranger)


async def test_a_followees_new_post_comes_and_goes_while_the_ranking_is_kept(
    api: Api, bearer: Token, world: PostWorld
) -> None:
    """Within moments: once it has landed and what ranks was refreshed, in ClickHouse's time."""
    headers, author = bearer(world.viewer()), world.authors[-1]

    async def until(post: int, is_there: bool) -> None:
        for _ in range(300):
            if (post in ids_of(await posts(api, headers, limit=100))) is is_there:
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"is it there? {not is_there}")

    with refreshing_worker(world.settings):
        await asyncio.sleep(2 * POLL_SECONDS)  # the service learns how far it is
        await posts(api, headers)
        written = await act(api, bearer(author), "/posts", body="news")
        post = int(written["post_id"])
        await until(post, is_there=True)
        assert (await posts(api, headers))["meta"]["cache_hit"]
        await act(api, bearer(author), f"/posts/{post}", "DELETE")
        await until(post, is_there=False)
    timeline = await posts(api, headers, algo="timeline", limit=100)
    assert post not in ids_of(timeline)


def forget(world: PostWorld, *patterns: str) -> None:
    """Lose keys of Redis, as time would."""

    with redis.Redis.from_url(world.settings.redis_url) as client:
        for pattern in patterns:
            for key in client.scan_iter(pattern):
                client.delete(key)


def forget_heads(world: PostWorld) -> None:
    """Make the next first page be ranked again, as two minutes would."""
    forget(world, "feed:*:head:default")
