"""Writes over HTTP, change capture, and the pages after them: the real way from end to end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import psycopg
import pytest
import redis

from api.settings import Settings
from tests.api.conftest import Api, Catalogue, Token, ids_of, new_id, page, serving, walk
from tests.api.feeds import landing_worker


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Settings under which a busy machine has the time it needs."""
    return msgspec.structs.replace(settings, landing_interval_ms=50, landing_wait_ms=20_000)


@pytest.fixture
async def api(settings: Settings, catalogue: Catalogue) -> AsyncIterator[Api]:
    """The service, with a catalogue to rank."""
    async with serving(settings) as api:
        yield api


@pytest.fixture
def landing(settings: Settings) -> Iterator[None]:
    """A landing worker."""
    with landing_worker(settings):
        yield


class Known:
    """What Postgres has to know of a catalogue before somebody can act on it."""

    def __init__(self, settings: Settings, catalogue: Catalogue) -> None:
        self.viewer = new_id()
        self.creators = dict(
            catalogue.client.query("select video_id, creator_id from nova.reel_cards").result_rows
        )
        self._settings = settings

    def tell(self, videos: list[int]) -> None:
        """Make users and videos; ClickHouse keeps what it has, which is newer."""
        with psycopg.connect(self._settings.postgres_url) as postgres:
            users = [self.viewer, *{self.creators[video] for video in videos}]
            postgres.execute(
                "insert into app.users (id) select unnest(%s::bigint[]) on conflict do nothing",
                [users],
            )
            postgres.execute(
                "insert into app.videos (id, creator_id, status, published_at, duration_ms) "
                "select *, 'published', now() - interval '1 hour', 15500 "
                "from unnest(%s::bigint[], %s::bigint[]) on conflict do nothing",
                [videos, [self.creators[video] for video in videos]],
            )


@pytest.fixture
def known(settings: Settings, catalogue: Catalogue) -> Known:
    """The catalogue as Postgres knows it."""
    return Known(settings, catalogue)


async def act(api: Api, headers: dict[str, str], path: str, **body: Any) -> None:
    """Send a write, which must be taken."""
    response = await api.post(f"/api/v1{path}", headers=headers, json=body or None)
    assert response.is_success, response.text


async def test_every_follow_shapes_the_very_next_page(
    api: Api, bearer: Token, landing: None, known: Known
) -> None:
    """The ranking itself says so: only ClickHouse knows why a video is on a page."""
    headers = bearer(known.viewer)
    body = await page(api, headers, limit=50)
    videos = ids_of(body)[:8]
    known.tell(videos)
    for video in videos:
        creator = known.creators[video]
        await act(api, headers, f"/users/{creator}/follow")
        body = await page(api, headers, limit=50)
        sources = {item["source"] for item in body["data"] if int(item["creator_id"]) == creator}
        assert sources == {"followee"}
        assert not body["meta"]["cache_hit"]
        assert (await page(api, headers))["meta"]["cache_hit"]


async def test_a_block_empties_walks_that_are_under_way_and_rankings_after_them(
    settings: Settings, api: Api, bearer: Token, landing: None, known: Known
) -> None:
    headers = bearer(known.viewer)
    first = await page(api, headers, limit=50)
    rest, _ = await walk(api, headers, limit=50, cursor=first["next_cursor"], pages=4)
    creators = {known.creators[video] for video in rest[:3]}
    known.tell(rest[:3])
    for creator in creators:
        await act(api, headers, f"/users/{creator}/block")
    again, _ = await walk(api, headers, limit=50, cursor=first["next_cursor"], pages=4)
    left = [video for video in rest if known.creators[video] not in creators]
    assert again[: len(left)] == left
    assert creators.isdisjoint(known.creators[video] for video in again)

    # Two days later only the ranking knows.
    forget(settings, "hidden:*")
    anew, _ = await walk(api, headers, limit=50, pages=6)
    assert creators.isdisjoint(known.creators[video] for video in anew)


async def test_what_was_watched_or_refused_never_comes_back(
    settings: Settings, api: Api, bearer: Token, landing: None, known: Known
) -> None:
    """From the very next request by the filter; when that has expired, by the rule in SQL."""
    headers = bearer(known.viewer)
    first = await page(api, headers, limit=40)
    shown = ids_of(first)
    ahead = ids_of(await page(api, headers, limit=40, cursor=first["next_cursor"]))
    watched, refused = [*shown[:10:2], *ahead[:10:2]], [shown[1], ahead[1]]
    done = {*watched, *refused}
    known.tell([*watched, *refused])

    for video in watched[:5]:
        await act(api, headers, f"/reels/{video}/watch", watch_ms=9_000, completion_percent=60)
        body = await page(api, headers, limit=40, cursor=first["next_cursor"])
        assert video not in ids_of(body)
        assert body["meta"]["cache_hit"]
        assert video not in ids_of(await page(api, headers, limit=50))
    event_time = datetime.now(UTC) - timedelta(seconds=5)
    await act(
        api,
        headers,
        "/events",
        events=[
            {
                "event_time": event_time.isoformat(),
                "item_id": str(video),
                "item_type": "video",
                "author_id": str(known.creators[video]),
                "action": "view",
                "device": "phone",
                "app_ver": "1.2.3",
            }
            for video in watched[5:]
        ],
    )
    for video in refused:
        await act(api, headers, f"/reels/{video}/not-interested")
    rest, _ = await walk(api, headers, limit=50, cursor=first["next_cursor"], pages=3)
    assert done.isdisjoint(rest)
    anew, _ = await walk(api, headers, limit=50, pages=3)
    assert done.isdisjoint(anew)

    # The filter expires, and the snapshots with it. "Not interested" came last, and was waited for.
    forget(settings, "seen:*", "feed:*")
    later, _ = await walk(api, headers, limit=50)
    assert done.isdisjoint(later)
    assert set(later) >= set(shown) - done


def forget(settings: Settings, *patterns: str) -> None:
    """Lose keys of Redis, as time would."""
    with redis.Redis.from_url(settings.redis_url) as client:
        for pattern in patterns:
            for key in client.scan_iter(pattern):
                client.delete(key)
