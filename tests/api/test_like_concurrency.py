"""Fifty clients press like and unlike on one video: every place that counts agrees in the end."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import msgspec
import psycopg
import redis

from api.counters.counts import key_of, unpack
from api.counters.store import CounterStore
from api.settings import Settings
from api.stores import Stores
from tests.api.conftest import Api, Catalogue, Token, ids_of, new_id, page, serving

CLIENTS = 50
PRESSES = 40  # of each client (count): 2,000 in all
SHARING = 20  # clients who are a viewer with another one, such as two phones (count)


class Room:
    """Clients of two processes of the service, and what they were told."""

    def __init__(self, processes: list[Api], bearer: Token, video: int) -> None:
        self.processes = processes
        self.address = f"/api/v1/reels/{video}/like"
        alone = CLIENTS - SHARING
        pairs = [new_id() for _ in range(SHARING // 2)]
        self.viewers = [new_id() for _ in range(alone)] + pairs + pairs
        self.headers = {viewer: bearer(viewer) for viewer in self.viewers}
        self.alone = self.viewers[:alone]
        self.counts: list[int] = []
        self.liked: dict[int, bool] = {}
        self.seen: Counter[str] = Counter()

    async def press(self, process: Api, viewer: int, method: str) -> None:
        response = await process.request(method, self.address, headers=self.headers[viewer])
        assert response.status_code == 200, response.text
        body = response.json()
        assert body["liked"] is (method == "POST")
        self.counts.append(body["like_count"])
        self.liked[viewer] = body["liked"]
        self.seen[method] += 1

    async def waver(self, number: int) -> None:
        """Be one client: press, sometimes twice at once, sometimes again after the answer."""
        chance = random.Random(number)
        viewer = self.viewers[number]
        for _ in range(PRESSES):
            method = chance.choice(["POST", "DELETE"])
            process = chance.choice(self.processes)
            way = chance.random()
            if way < 0.2:
                other = chance.choice(self.processes)
                await asyncio.gather(
                    self.press(process, viewer, method), self.press(other, viewer, method)
                )
                self.seen["twice at once"] += 1
            else:
                await self.press(process, viewer, method)
                if way < 0.4:
                    await self.press(process, viewer, method)
                    self.seen["again"] += 1

    async def look(self, headers: dict[str, str], video: int, is_over: asyncio.Event) -> None:
        """Read the count from pages meanwhile."""
        while not is_over.is_set():
            for process in self.processes:
                self.counts.append(await likes_on_page(process, headers, video))
            self.seen["pages"] += 1
            await asyncio.sleep(0.05)


async def likes_on_page(process: Api, headers: dict[str, str], video: int) -> int:
    """The count of a video as a page shows it."""
    items = (await page(process, headers, limit=50))["data"]
    [shown] = [item for item in items if int(item["id"]) == video]
    return int(shown["like_count"])


async def test_every_count_agrees(settings: Settings, catalogue: Catalogue, bearer: Token) -> None:
    # One row is fought over by fifty: they wait for each other, on a busy machine for long.
    settings = msgspec.structs.replace(settings, postgres_timeout_ms=60_000)
    with (
        psycopg.connect(settings.postgres_url, autocommit=True) as postgres,
        redis.Redis.from_url(settings.redis_url) as client,
    ):
        async with serving(settings) as one, serving(settings) as two:
            reader = bearer(new_id())
            video = ids_of(await page(one, reader, limit=50))[7]
            room = Room([one, two], bearer, video)
            is_over = asyncio.Event()
            looking = asyncio.create_task(room.look(reader, video, is_over))
            await asyncio.gather(*(room.waver(number) for number in range(CLIENTS)))
            is_over.set()
            await looking

            likers = {
                row[0]
                for row in postgres.execute(
                    "select user_id from app.likes "
                    "where item_type = 'video' and item_id = %s and not deleted",
                    [video],
                )
            }
            totals = postgres.execute(
                "select likes from app.video_engagement where video_id = %s", [video]
            ).fetchone()
            events = dict(
                postgres.execute(
                    "select action, count(*) from app.events where item_id = %s group by action",
                    [video],
                ).fetchall()
            )
            kept = client.get(key_of("video", video))
            assert isinstance(kept, bytes)
            shown = [await likes_on_page(process, reader, video) for process in (one, two)]
            stores = Stores(settings)
            await stores.postgres.open()
            counters = CounterStore(stores.redis, stores.postgres, settings)
            read = (await counters.read("video", [video]))[video]
            await counters.close()
            await stores.close()

    print(dict(room.seen), f"{len(likers)} like it in the end")
    assert totals == (len(likers),)
    assert unpack("video", video, kept).likes == len(likers)
    assert read.likes == len(likers)
    assert shown == [len(likers)] * 2
    # Whoever was alone with their choice: the last answer they got is what is stored.
    assert {viewer for viewer in room.alone if room.liked[viewer]} == likers & set(room.alone)

    assert min(room.counts) >= 0
    assert max(room.counts) <= len(set(room.viewers))
    assert events["like"] - events["unlike"] == len(likers)
    # It was what it is called: both were pressed a lot, and most of it changed something.
    assert room.seen["POST"] + room.seen["DELETE"] >= CLIENTS * PRESSES
    assert min(room.seen["twice at once"], room.seen["again"], room.seen["pages"]) > 0
    assert events["like"] > CLIENTS
