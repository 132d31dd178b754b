"""Suggested users and creators to discover: why, for whom, and never whom."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import psycopg
import pytest
import redis.asyncio

from api.discovery.ranked import Ranked
from api.settings import Settings
from api.snapshots.store import now_ms
from api.snapshots.touches import ALL_LISTS, Touch
from api.stack.ports import free_port
from api.workers import LANDED_KEY
from tests.api.conftest import Api, Catalogue, Token, new_id, problem_of, serving
from tests.api.feeds import touching
from tests.api.proxy import Proxy

USERS, CREATORS = "/api/v1/discover/suggested-users", "/api/v1/discover/creators"
Page = dict[str, Any]


class Society:
    """Users and whom they follow, in Postgres and landed."""

    def __init__(self, postgres: psycopg.Connection[Any], catalogue: Catalogue) -> None:
        self.postgres = postgres
        self.catalogue = catalogue

    def users(self, count: int) -> list[int]:
        """Make users."""
        made = sorted(new_id() for _ in range(count))
        self.postgres.execute(
            "insert into app.users (id, username) select id, 'u' || id "
            "from unnest(%s::bigint[]) as id",
            (made,),
        )
        self.land_users(made)
        return made

    def land_users(self, user_ids: list[int], *, is_deleted: bool = False) -> None:
        """Land users."""
        self.catalogue.insert(
            "users",
            ["user_id", "username", "created_at"],
            [[user_id, "", datetime.now(UTC)] for user_id in user_ids],
            is_deleted=is_deleted,
        )

    def follow(self, *pairs: tuple[int, int], age: timedelta = timedelta(days=9)) -> None:
        """Have users follow others, since a while."""
        at = datetime.now(UTC) - age
        for follower, followee in pairs:
            self.postgres.execute(
                "insert into app.follows (follower_id, followee_id, created_at) "
                "values (%s, %s, %s)",
                (follower, followee, at),
            )
        self.land_follows(*pairs, at=at)

    def land_follows(self, *pairs: tuple[int, int], at: datetime) -> None:
        """Land follows."""
        self.catalogue.insert(
            "follows", ["follower_id", "followee_id", "created_at"], [[*pair, at] for pair in pairs]
        )

    def videos(self, creator: int, count: int) -> list[int]:
        """Publish videos, the first one newest."""
        made = [new_id() for _ in range(count)]
        now = datetime.now(UTC)
        for number, video in enumerate(made):
            at = now - timedelta(minutes=1 + number)
            self.postgres.execute(
                "insert into app.videos (id, creator_id, title, duration_ms, status, created_at,"
                " published_at, thumbnail_url) values (%s, %s, 'a video', 15500, 'published', %s,"
                " %s, 'thumb.jpg')",
                (video, creator, at, at),
            )
            self.catalogue.insert(
                "videos",
                ["video_id", "creator_id", "status", "created_at", "published_at"],
                [[video, creator, "published", at, at]],
            )
            self.catalogue.remember([[video, creator, "a video", "thumb.jpg", at]])
        return made

    def acts(self, viewer: int, author: int, **counts: int) -> None:
        """Count what a viewer did with an author's items today."""
        columns = ["user_id", "author_id", "day", "likes", "comments", "views", "shares"]
        row = [viewer, author, datetime.now(UTC).date()]
        row += [counts.get(column, 0) for column in columns[3:]]
        self.catalogue.client.insert("raw.user_author_90d", [row], column_names=columns)

    def refresh(self) -> None:
        """Have what is precomputed for discovery look now."""
        for model in (
            "video_signals",
            "reel_cards",
            "sig_user__followers",
            "growing_users",
            "sig_creator_creator__similarity",
            "cand_viewer_creator__blocked_by",
        ):
            for verb in ("refresh", "wait"):
                self.catalogue.client.command(f"system {verb} view nova.{model}_mv")


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """A busy machine must not answer 503."""
    return msgspec.structs.replace(settings, postgres_timeout_ms=30_000)


@pytest.fixture
def society(settings: Settings, catalogue: Catalogue) -> Iterator[Society]:
    """Somewhere to have followers."""
    with psycopg.connect(settings.postgres_url, autocommit=True) as postgres:
        yield Society(postgres, catalogue)


async def ask(api: Api, headers: dict[str, str], path: str = USERS, **parameters: Any) -> Page:
    """Ask for a list, which must come."""
    response = await api.get(path, headers=headers, params=parameters)
    assert response.status_code == 200, response.text
    body: Page = response.json()
    assert (body["has_more"], body["next_cursor"]) == (False, None)
    assert body["meta"]["total_count"] == len(body["data"])
    return body


def ids(body: Page) -> list[int]:
    """The users of a list."""
    return [int(one.get("user_id") or one["creator_id"]) for one in body["data"]]


async def test_a_suggestion_says_whom_both_follow_and_what_the_viewer_liked(
    api: Api, bearer: Token, society: Society
) -> None:
    viewer, rare, common, friend, stranger, author, *crowd = society.users(16)
    society.follow((viewer, rare), (viewer, common), (friend, rare), (friend, common))
    society.follow((stranger, common), *((one, common) for one in crowd))
    society.acts(viewer, author, likes=3, comments=2)
    society.acts(viewer, stranger, likes=1)
    society.refresh()

    body = await ask(api, bearer(viewer), limit=50)
    assert (body["meta"]["degraded"], body["meta"]["cache_hit"]) == ("none", False)
    by_id = {int(one["user_id"]): one for one in body["data"]}
    assert ids(body)[:3] == [friend, author, stranger]
    assert by_id[friend] == {
        "user_id": str(friend),
        "username": f"u{friend}",
        "follower_count": 0,
        "score": 0.6,
        "reasons": ["shared_follows"],
        "shared_follows": 2,
        "shared_users": [
            {"user_id": str(rare), "username": f"u{rare}"},
            {"user_id": str(common), "username": f"u{common}"},
        ],
        "affinity": 0.0,
        "followers_gained": 0,
    }
    assert by_id[author]["reasons"] == ["affinity"]
    assert (by_id[author]["affinity"], by_id[author]["score"]) == (1.0, 0.4)
    assert by_id[stranger]["reasons"] == ["shared_follows", "affinity"]
    assert (by_id[stranger]["shared_follows"], by_id[stranger]["affinity"]) == (1, 0.25)
    assert {viewer, rare, common}.isdisjoint(by_id)
    assert (await ask(api, bearer(viewer)))["meta"]["cache_hit"]
    assert len((await ask(api, bearer(viewer), limit=2))["data"]) == 2


async def test_somebody_unknown_sees_who_grows(api: Api, bearer: Token, society: Society) -> None:
    star, *fans = society.users(8)
    society.videos(star, 1)
    society.follow(*((fan, star) for fan in fans), age=timedelta(hours=2))
    society.refresh()

    for path in (USERS, CREATORS):
        body = await ask(api, bearer(new_id()), path)
        first = body["data"][ids(body).index(star)]
        assert first["reasons"] == ["growing"]
        assert (first["followers_gained"], first["follower_count"]) == (7, 7)


async def test_a_creator_watched_together_is_shown_with_new_videos(
    api: Api, bearer: Token, society: Society
) -> None:
    viewer, watched, close, followed, *others = society.users(10)
    for creator in (watched, close, followed):
        newest = society.videos(creator, 4)
        if creator == close:
            videos = newest
    for one in others:
        for creator in (watched, close, followed):
            society.acts(one, creator, views=2)
    society.acts(viewer, watched, views=5)
    society.follow((viewer, followed))
    society.postgres.execute(
        "insert into app.not_interested (user_id, video_id) values (%s, %s)", (viewer, videos[1])
    )
    society.refresh()

    body = await ask(api, bearer(viewer), CREATORS)
    first = body["data"][0]
    assert (int(first["creator_id"]), first["reasons"]) == (close, ["watched_together"])
    assert (first["closeness"], first["score"]) == (1.0, 0.6)
    assert [int(one["user_id"]) for one in first["close_creators"]] == [watched]
    previews = [int(video["id"]) for video in first["preview_videos"]]
    assert previews == [videos[0], videos[2], videos[3]]
    assert first["preview_videos"][0]["duration_seconds"] == 15.5
    assert first["preview_videos"][0]["created_at"].endswith("Z")
    assert first["preview_videos"][0]["thumbnail_url"].endswith("/media/thumb.jpg")
    assert {viewer, followed}.isdisjoint(ids(body))
    assert len(body["data"]) <= 20


async def test_nobody_is_listed_who_is_followed_blocked_or_gone(
    api: Api, bearer: Token, society: Society
) -> None:
    """Whether ClickHouse knows of it yet, or Postgres alone does."""
    viewer, hub, good, deleted, gone, blocked, blocker = society.users(7)
    others = [good, deleted, gone, blocked, blocker]
    society.follow((viewer, hub), *((one, hub) for one in others))
    society.acts(viewer, deleted, likes=1)
    society.land_users([deleted], is_deleted=True)
    society.postgres.execute(
        "update app.users set deleted = true where id in (%s, %s)", (deleted, gone)
    )
    for one, other in ((viewer, blocked), (blocker, viewer)):
        society.catalogue.insert(
            "blocks", ["blocker_id", "blocked_id", "created_at"], [[one, other, datetime.now(UTC)]]
        )
    society.refresh()
    rows = society.catalogue.client.query(
        "select user_id from nova.suggested_users(viewer_id = {viewer:UInt64}, as_of = now64(3))"
        " where shared_follows > 0 or affinity > 0",
        {"viewer": viewer},
    ).result_columns
    assert set(rows[0]) == {good, gone}

    assert set(ids(await ask(api, bearer(viewer), limit=50))) & {*others, hub} == {good}


async def test_the_next_answer_is_without_who_was_followed_or_blocked_a_moment_ago(
    settings: Settings, catalogue: Catalogue, bearer: Token, society: Society
) -> None:
    """Although nothing has landed, and nothing will."""
    viewer, hub, *others = society.users(6)
    society.follow((viewer, hub), *((one, hub) for one in others))
    society.refresh()
    quick = msgspec.structs.replace(settings, landing_wait_ms=50)
    async with serving(quick) as api:
        listed = set(ids(await ask(api, bearer(viewer), limit=50)))
        assert set(others) <= listed
        for other, action in ((others[0], "follow"), (others[1], "block")):
            done = await api.post(f"/api/v1/users/{other}/{action}", headers=bearer(viewer))
            assert done.status_code == 200
            assert other not in ids(await ask(api, bearer(viewer), limit=50))
        blocking = await api.post(f"/api/v1/users/{viewer}/block", headers=bearer(others[2]))
        assert blocking.status_code == 200
        left = ids(await ask(api, bearer(viewer), limit=50))
        assert set(left) & set(others) == {others[3]}

        for other, action in ((others[0], "follow"), (others[1], "block")):
            done = await api.delete(f"/api/v1/users/{other}/{action}", headers=bearer(viewer))
            assert done.status_code == 200
        again = ids(await ask(api, bearer(viewer), limit=50))
        assert set(again) & set(others) == {others[0], others[1], others[3]}


async def test_a_list_of_which_little_is_left_is_filled_with_who_grows(
    api: Api, bearer: Token, society: Society
) -> None:
    """The viewer follows all of it, as Postgres knows and ClickHouse does not."""
    viewer, hub, star, *others = society.users(60)
    society.follow((viewer, hub), *((one, hub) for one in others))
    society.follow(*((one, star) for one in others), age=timedelta(hours=2))
    society.refresh()
    before = await ask(api, bearer(viewer), limit=50)
    society.postgres.execute(
        "insert into app.follows (follower_id, followee_id)"
        " select %s, id from unnest(%s::bigint[]) as id",
        (viewer, others),
    )
    body = await ask(api, bearer(viewer), limit=50)
    assert body["meta"]["cache_hit"]
    assert set(ids(body)).isdisjoint([viewer, hub, *others])
    assert set(ids(body)) > set(ids(before)) - set(others)
    reasons = {int(one["user_id"]): one["reasons"] for one in body["data"]}
    assert reasons[star] == ["growing"]
    assert len(set(ids(body))) == len(ids(body))


async def test_a_follow_counts_once_it_has_landed(
    settings: Settings, catalogue: Catalogue, bearer: Token, society: Society
) -> None:
    """The answer that comes before is served until then, and no longer."""
    viewer, hub, friend = society.users(3)
    society.follow((friend, hub))
    society.refresh()
    quick = msgspec.structs.replace(settings, landing_wait_ms=50)
    async with serving(quick) as api:
        await ask(api, bearer(viewer), limit=50)
        await api.post(f"/api/v1/users/{hub}/follow", headers=bearer(viewer))
        body = await ask(api, bearer(viewer), limit=50)
        assert not body["meta"]["cache_hit"]
        assert all("shared_follows" not in one["reasons"] for one in body["data"])
        assert (await ask(api, bearer(viewer)))["meta"]["cache_hit"]

        society.land_follows((viewer, hub), at=datetime.now(UTC) - timedelta(seconds=5))
        await landed(settings)
        body = await ask(api, bearer(viewer), limit=50)
        assert not body["meta"]["cache_hit"]
        first = body["data"][0]
        assert (int(first["user_id"]), first["reasons"]) == (friend, ["shared_follows"])
        assert (await ask(api, bearer(viewer)))["meta"]["cache_hit"]


async def landed(settings: Settings) -> None:
    """Tell, as the landing worker does, that everything so far has landed."""
    async with redis.asyncio.Redis.from_url(settings.redis_url) as client:
        await client.set(LANDED_KEY, 2**50)
    await asyncio.sleep(0.6)  # processes look every quarter of a second


# ---------- how old, and what when stores are away


@pytest.fixture
async def fragile(
    settings: Settings, clickhouse_proxy: Proxy, redis_proxy: Proxy, postgres_proxy: Proxy
) -> AsyncIterator[Api]:
    """The service behind lines that can be cut."""
    lines = msgspec.structs.replace(
        settings,
        clickhouse_url=clickhouse_proxy.url,
        redis_url=redis_proxy.url,
        postgres_url=postgres_proxy.url,
    )
    async with serving(lines) as api:
        yield api


@pytest.fixture
async def postgres_proxy(settings: Settings) -> AsyncIterator[Proxy]:
    """A line to Postgres that can be cut."""
    async with Proxy(settings.postgres_url, free_port()) as proxy:
        yield proxy


async def age(settings: Settings, viewer: int, seconds: int) -> None:
    """Make a viewer's kept list as old as this."""
    key = f"discover:suggested_users:v1:{{{viewer}}}"
    async with redis.asyncio.Redis.from_url(settings.redis_url) as client:
        kept = msgspec.msgpack.decode(await client.get(key), type=Ranked)
        old = msgspec.structs.replace(kept, as_of_ms=now_ms() - seconds * 1000)
        await client.set(key, msgspec.msgpack.encode(old))


def told(body: Page) -> tuple[str, bool, bool]:
    """How an answer came about."""
    meta = body["meta"]
    return meta["degraded"], meta["fallback"], meta["cache_hit"]


async def test_without_clickhouse_a_list_serves_on_and_is_stale_in_the_end(
    settings: Settings, fragile: Api, bearer: Token, society: Society, clickhouse_proxy: Proxy
) -> None:
    viewer, hub, *others = society.users(5)
    society.follow((viewer, hub), *((one, hub) for one in others))
    society.refresh()
    good = await ask(fragile, bearer(viewer))
    clickhouse_proxy.cut()
    for seconds, level in ((301, ("none", False, True)), (601, ("stale", True, True))):
        await age(settings, viewer, seconds)
        body = await ask(fragile, bearer(viewer))
        assert told(body) == level
        assert body["data"] == good["data"]
        at = datetime.fromisoformat(body["meta"]["as_of"])
        assert datetime.now(UTC) - at >= timedelta(seconds=seconds)

    await fragile.post(f"/api/v1/users/{others[0]}/follow", headers=bearer(viewer))
    stale = await ask(fragile, bearer(viewer))
    assert told(stale) == ("stale", True, True)
    # Who was followed has left; what that left free is filled from who grows.
    rest = [one for one in ids(good) if one != others[0]]
    assert ids(stale)[: len(rest)] == rest
    assert others[0] not in ids(stale)

    clickhouse_proxy.mend()
    await until(fragile, bearer(viewer), lambda body: told(body)[0] == "none")


async def test_without_clickhouse_a_new_viewer_sees_who_grows(
    fragile: Api, bearer: Token, society: Society, clickhouse_proxy: Proxy
) -> None:
    """Which some earlier answer must have found out, of this process or another."""
    star, *fans = society.users(5)
    society.follow(*((fan, star) for fan in fans), age=timedelta(hours=2))
    society.refresh()
    viewer = fans[0]
    clickhouse_proxy.cut()
    problem_of(await fragile.get(USERS, headers=bearer(new_id())), 503, "unavailable")
    clickhouse_proxy.mend()
    await until(fragile, bearer(new_id()), lambda body: bool(body.get("data")))
    clickhouse_proxy.cut()
    body = await ask(fragile, bearer(viewer))
    assert told(body) == ("popular", True, True)
    assert star not in ids(body)
    assert star in ids(await ask(fragile, bearer(new_id()), limit=50))


@pytest.mark.parametrize("entry", [b"not msgpack", b"\xa2\xff\xfe", msgspec.msgpack.encode([1, 2])])
async def test_what_redis_has_in_another_form_is_as_if_it_had_nothing(
    settings: Settings,
    fragile: Api,
    bearer: Token,
    society: Society,
    clickhouse_proxy: Proxy,
    entry: bytes,
) -> None:
    """Of a release that wrote otherwise."""
    viewer, hub, friend = society.users(3)
    society.follow((viewer, hub), (friend, hub))
    society.refresh()
    kinds = [f"discover:suggested_users:v1:{one}" for one in (f"{{{viewer}}}", "growing")]
    async with redis.asyncio.Redis.from_url(settings.redis_url) as client:
        await client.mset(dict.fromkeys(kinds, entry))
        clickhouse_proxy.cut()
        problem_of(await fragile.get(USERS, headers=bearer(viewer)), 503, "unavailable")
        clickhouse_proxy.mend()
        await until(fragile, bearer(viewer), lambda body: "data" in body)
    body = await ask(fragile, bearer(viewer))
    assert (ids(body)[0], told(body)) == (friend, ("none", False, True))


async def test_without_redis_lists_are_ranked_for_each_answer(
    fragile: Api, bearer: Token, society: Society, redis_proxy: Proxy
) -> None:
    viewer, hub, friend = society.users(3)
    society.follow((viewer, hub), (friend, hub))
    society.refresh()
    redis_proxy.cut()
    for _ in range(2):
        body = await ask(fragile, bearer(viewer))
        assert told(body) == ("no_cache", False, False)
        assert ids(body)[0] == friend
    await fragile.post(f"/api/v1/users/{friend}/follow", headers=bearer(viewer))
    assert friend not in ids(await ask(fragile, bearer(viewer)))


async def test_without_postgres_a_list_serves_that_the_viewer_did_not_change(
    settings: Settings, fragile: Api, bearer: Token, society: Society, postgres_proxy: Proxy
) -> None:
    viewer, hub, friend = society.users(3)
    society.follow((viewer, hub), (friend, hub))
    society.refresh()
    good = await ask(fragile, bearer(viewer))
    postgres_proxy.cut()
    stale = await ask(fragile, bearer(viewer))
    assert told(stale) == ("stale", True, True)
    assert stale["data"] == good["data"]

    with psycopg.connect(settings.postgres_url, autocommit=True) as postgres:
        postgres.execute("select app.follow_user(%s, %s)", (viewer, friend))
    async with touching(settings) as touches:
        await touches.note(Touch(viewer_id=viewer, is_reranked=True, item_types=ALL_LISTS))
    problem_of(await fragile.get(USERS, headers=bearer(viewer)), 503, "unavailable")


async def until(api: Api, headers: dict[str, str], holds: Callable[[Page], bool]) -> Page:
    """Ask until something holds of the answer."""
    async with asyncio.timeout(60):
        while True:
            body: Page = (await api.get(USERS, headers=headers)).json()
            if holds(body):
                return body
            await asyncio.sleep(0.1)


async def test_a_list_is_ranked_once_however_many_ask(
    settings: Settings, fragile: Api, bearer: Token, society: Society, clickhouse_proxy: Proxy
) -> None:
    """When there is none, behind the answer when it ages, and before it when it is old."""
    viewer, hub, friend = society.users(3)
    society.follow((viewer, hub), (friend, hub))
    society.refresh()
    clickhouse_proxy.wanted, clickhouse_proxy.requests = b"nova.suggested_users", 0
    bodies = await asyncio.gather(*(ask(fragile, bearer(viewer)) for _ in range(10)))
    assert clickhouse_proxy.requests == 1
    assert len({body["meta"]["as_of"] for body in bodies}) == 1

    await age(settings, viewer, 239)
    assert told(await ask(fragile, bearer(viewer))) == ("none", False, True)
    assert clickhouse_proxy.requests == 1

    await age(settings, viewer, 241)
    old = await ask(fragile, bearer(viewer))
    assert told(old) == ("none", False, True)
    as_of = old["meta"]["as_of"]
    new = await until(fragile, bearer(viewer), lambda body: body["meta"]["as_of"] != as_of)
    assert told(new) == ("none", False, True)
    assert clickhouse_proxy.requests == 2

    await age(settings, viewer, 301)
    assert told(await ask(fragile, bearer(viewer))) == ("none", False, False)
    assert clickhouse_proxy.requests == 3
