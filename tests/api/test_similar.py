"""Similar videos: found by where they are, hidden by whose they are, trending where unknown."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import psycopg
import pytest

from api.settings import Settings
from tests.api.conftest import Api, Catalogue, Token, new_id, problem_of, serving
from tests.api.proxy import Proxy

VERSION = "similar-64d"
Page = dict[str, Any]


@pytest.fixture(scope="module")
def heap(catalogue: Catalogue) -> Iterator[list[int]]:
    """Twelve videos, each farther from the first than the one before; the last is nowhere."""
    dice = random.Random(7)
    videos = catalogue.videos(12, creators=12)
    catalogue.plays(dict.fromkeys(videos, 0.4))
    catalogue.refresh()
    first = [dice.gauss(0, 1) for _ in range(64)]
    away = [dice.gauss(0, 1) for _ in range(64)]
    catalogue.client.insert(
        "raw.video_embeddings",
        [
            [VERSION, video, [a + place * b / 10 for a, b in zip(first, away, strict=True)]]
            for place, video in enumerate(videos[:-1])
        ],
        column_names=["model_version", "video_id", "embedding"],
    )
    served = ["model_version", "provider", "dimensions", "active", "activated_at"]
    model = [VERSION, "sql", 64, True, datetime.now(UTC)]
    catalogue.insert("deep_recall_models", served, [model])
    yield videos
    catalogue.insert("deep_recall_models", served, [[*model[:3], False, model[4]]])


async def similar(api: Api, headers: dict[str, str], video: int, **parameters: Any) -> Page:
    """Ask what is similar to a video, which must be answered."""
    answer = await api.get(f"/api/v1/reels/{video}/similar", headers=headers, params=parameters)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def ids(page: Page) -> list[int]:
    return [int(reel["id"]) for reel in page["data"]]


async def test_the_nearest_come_first_and_never_the_video_itself(
    api: Api, heap: list[int], bearer: Token
) -> None:
    headers = bearer(new_id())
    page = await similar(api, headers, heap[0])
    assert ids(page) == heap[1:11]
    scores = [reel["similarity_score"] for reel in page["data"]]
    assert scores == sorted(scores, reverse=True) and 0.5 < scores[-1] < scores[0] < 1
    assert page["meta"]["degraded"] == "none" and not page["meta"]["cache_hit"]
    again = await similar(api, headers, heap[0], limit=3)
    assert ids(again) == heap[1:4] and again["meta"]["cache_hit"]


async def test_who_is_blocked_or_gone_is_not_shown_also_from_the_cache(
    api: Api, settings: Settings, heap: list[int], bearer: Token
) -> None:
    viewer = new_id()
    before = await similar(api, bearer(viewer), heap[0])
    blocked = int(before["data"][0]["creator_id"])
    with psycopg.connect(settings.postgres_url) as postgres:
        postgres.execute(
            "insert into app.users (id) values (%s), (%s) on conflict do nothing",
            [viewer, blocked],
        )
        postgres.execute(
            "insert into app.blocks (blocker_id, blocked_id) values (%s, %s)", [blocked, viewer]
        )
        postgres.execute("update app.videos set deleted = true where id = %s", [heap[2]])
    assert ids(await similar(api, bearer(viewer), heap[0])) == heap[3:11]
    assert ids(await similar(api, bearer(new_id()), heap[0])) == [heap[1], *heap[3:11]]


async def test_without_an_embedding_what_trends_is_shown(
    api: Api, heap: list[int], bearer: Token
) -> None:
    page = await similar(api, bearer(new_id()), heap[-1], limit=50)
    assert page["meta"]["degraded"] == "trending" and page["meta"]["fallback"]
    assert len(page["data"]) == 50 and heap[-1] not in ids(page)
    assert {reel["source"] for reel in page["data"]} == {"trending"}
    assert {reel["similarity_score"] for reel in page["data"]} == {None}


@pytest.mark.parametrize("video", ["9223372036854775807", "9" * 400])
async def test_a_video_nobody_knows_is_not_found(api: Api, bearer: Token, video: str) -> None:
    answer = await api.get(f"/api/v1/reels/{video}/similar", headers=bearer(new_id()))
    problem_of(answer, 404, "not-found", "item_id")


@pytest.mark.parametrize("limit", ["0", "51", "x"])
async def test_a_limit_has_bounds(api: Api, heap: list[int], bearer: Token, limit: str) -> None:
    answer = await api.get(
        f"/api/v1/reels/{heap[0]}/similar", headers=bearer(new_id()), params={"limit": limit}
    )
    problem_of(answer, 400, "invalid-request", "limit")


async def test_without_clickhouse_what_trends_is_shown_and_without_redis_the_same(
    settings: Settings,
    heap: list[int],
    bearer: Token,
    clickhouse_proxy: Proxy,
    redis_proxy: Proxy,
) -> None:
    lines = msgspec.structs.replace(
        settings, clickhouse_url=clickhouse_proxy.url, redis_url=redis_proxy.url
    )
    async with serving(lines) as api:
        headers = bearer(new_id())
        await similar(api, headers, heap[-1])  # the chart is kept
        clickhouse_proxy.cut()
        page = await similar(api, headers, heap[3])
        assert page["meta"]["degraded"] == "trending" and page["data"]
        clickhouse_proxy.mend()
    redis_proxy.cut()
    async with serving(lines) as api:
        page = await similar(api, headers, heap[0])
        assert page["meta"]["degraded"] == "no_cache"
        assert ids(page)[0] == heap[1]
