"""The posts' charts: what is on them, in which order, and what is left when a store is away."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import clickhouse_connect
import msgspec
import psycopg
import pytest
import yaml
from clickhouse_connect.driver.client import Client

from api.charts.reader import COPY_SECONDS, COUNTED_SECONDS, FRESH_SECONDS
from api.counters.counts import ItemCounts
from api.counters.store import CounterStore
from api.feed.charts import PostCharts
from api.feed.schemas import TrendingPostPage
from api.settings import Settings
from api.stack.dbt import dbt
from api.stores import Stores
from api.surfaces.schemas import Window
from api.trending.charts import UseChartSource
from api.workers.charts import EVERY_SECONDS
from api.workers.landing import land_until_settled
from tests.api.charts import age_charts
from tests.api.conftest import Api, Catalogue, Token, new_id, serving
from tests.api.proxy import Proxy
from tests.conftest import child_environment

ROOT = Path(__file__).parents[2]
PATH = "/api/v1/feed/trending"
NOBODY = "postgresql://nobody@127.0.0.1:1/x"

# ---------- a chart of its own, for what does not depend on how it came about


def react(catalogue: Catalogue, likers: dict[int, int]) -> None:
    """Publish posts, and have each be liked by so many accounts in this minute."""
    now = datetime.now(UTC).replace(microsecond=0)
    columns = ["post_id", "author_id", "body", "hashtags", "created_at"]
    catalogue.insert("posts", columns, [[post, post + 1, "Hello", [], now] for post in likers])
    catalogue.client.insert(
        "raw.post_actors_1m",
        [
            [now.replace(second=0), post, account, 1, 0, 0]
            for post, accounts in likers.items()
            for account in range(accounts)
        ],
        column_names=["at_minute", "post_id", "user_id", "likes", "comments", "shares"],
    )
    refresh_chart(catalogue.client)


def refresh_chart(client: Client) -> None:
    """Have ClickHouse count the charts now, and not at its next turn."""
    for _ in range(2):  # one may be under way that began before our rows were there
        client.command("system refresh view nova.trending_posts_mv")
        client.command("system wait view nova.trending_posts_mv")


@pytest.fixture
def posts(catalogue: Catalogue) -> list[int]:
    """Three posts at the top of every chart, best first; the larger id wins a tie."""
    low, high, best = sorted(new_id() for _ in range(3))
    [top] = catalogue.client.query(
        "select toUInt64(max(points)) from nova.trending_posts"
    ).first_row
    react(catalogue, {low: top + 1, high: top + 1, best: top + 2})
    return [best, high, low]


async def chart(api: Api, headers: dict[str, str], **parameters: Any) -> dict[str, Any]:
    response = await api.get(PATH, headers=headers, params=parameters)
    assert response.status_code == 200, response.text
    msgspec.json.decode(response.content, type=TrendingPostPage)  # what the document says
    body: dict[str, Any] = response.json()
    return body


def ids_of(body: dict[str, Any]) -> list[int]:
    return [int(item["post_id"]) for item in body["data"]]


async def test_a_chart_has_posts_in_order_with_everything_an_item_needs(
    api: Api, bearer: Token, catalogue: Catalogue, posts: list[int]
) -> None:
    catalogue.insert(
        "post_engagement",
        ["post_id", "exposures", "views", "likes", "shares", "comments", "dwell_ms"],
        [[posts[0], 900, 70, 40, 3, 5, 123_456]],
    )
    body = await chart(api, bearer(new_id()))
    assert ids_of(body)[:3] == posts
    assert [item["rank"] for item in body["data"]] == list(range(1, len(body["data"]) + 1))
    first, second, third = body["data"][:3]
    assert first["score"] == second["score"] + 1 == third["score"] + 1
    assert first["author_id"] == str(posts[0] + 1)
    assert first["source"] == "trending"
    assert datetime.now(UTC) - datetime.fromisoformat(first["created_at"]) < timedelta(hours=1)
    counters = ("likes", "comments", "shares", "exposures", "dwell_ms_sum")
    assert [first[name] for name in counters] == [40, 5, 3, 900, 123_456]
    assert [second[name] for name in counters] == [0, 0, 0, 0, 0], "nobody acted on it"
    assert (body["has_more"], body["next_cursor"]) == (False, None)
    meta = body["meta"]
    assert (meta["window"], meta["degraded"], meta["fallback"]) == ("1h", "none", False)
    assert meta["total_count"] == len(body["data"])


async def test_a_limit_takes_the_top(api: Api, bearer: Token, posts: list[int]) -> None:
    for window in ("1h", "24h", "7d"):
        body = await chart(api, bearer(new_id()), window=window, limit=2)
        assert ids_of(body) == posts[:2]
        assert body["meta"]["window"] == window
        assert body["meta"]["total_count"] >= 3


@pytest.mark.parametrize(
    ("field", "value"), [("limit", "0"), ("limit", "201"), ("window", "2h"), ("window", "")]
)
async def test_bad_parameters_are_named(api: Api, bearer: Token, field: str, value: str) -> None:
    refused = await api.get(PATH, headers=bearer(new_id()), params={field: value})
    assert refused.status_code == 400
    assert [error["field"] for error in refused.json()["errors"]] == [field]


async def test_a_chart_shows_the_counters_of_now(
    settings: Settings, api: Api, bearer: Token, posts: list[int]
) -> None:
    await chart(api, bearer(new_id()))
    stores = Stores(settings)
    counts = ItemCounts("post", posts[1], 7, 1, 22, 3, 4, 5, 66)
    await CounterStore(stores.redis, stores.postgres, settings).keep([counts])
    await stores.close()
    shown = (await chart(api, bearer(new_id())))["data"][1]
    assert (shown["likes"], shown["shares"], shown["comments"]) == (22, 3, 4)
    assert (shown["exposures"], shown["dwell_ms_sum"]) == (5, 66)


async def test_a_deleted_post_leaves_the_chart(
    settings: Settings,
    catalogue: Catalogue,
    bearer: Token,
    posts: list[int],
    clickhouse_proxy: Proxy,
) -> None:
    """When it has landed, for everybody; before, and while ClickHouse is away, as Postgres says."""
    lines = msgspec.structs.replace(settings, clickhouse_url=clickhouse_proxy.url)
    async with serving(lines) as api:
        assert ids_of(await chart(api, bearer(1)))[:3] == posts

    clickhouse_proxy.cut()
    with psycopg.connect(settings.postgres_url, autocommit=True) as postgres:
        postgres.execute("insert into app.users (id) values (1)")
        postgres.execute(
            "insert into app.posts (id, author_id, body, deleted) values (%s, 1, 'Gone', true)",
            [posts[1]],
        )
    async with serving(lines) as api:
        assert ids_of(await chart(api, bearer(1)))[:2] == [posts[0], posts[2]]
    age_charts(settings, "posts", FRESH_SECONDS)
    async with serving(lines) as api:
        stale = await chart(api, bearer(1))
    assert stale["meta"]["degraded"] == "stale"
    assert ids_of(stale)[:2] == [posts[0], posts[2]]

    columns = ["post_id", "author_id", "body", "hashtags", "created_at"]
    catalogue.client.insert(
        "raw.posts",
        [[post, 1, "", [], datetime.now(UTC), True, 1, 2**62] for post in posts[:2]],
        column_names=[*columns, "deleted", "_txid", "_version"],
    )
    top = "select post_id from nova.chart__posts(chart_window = '1h', places = 1)"
    assert catalogue.client.command(top) == posts[2], "its place is another's"
    async with serving(settings) as api:
        landed = await chart(api, bearer(1))
    assert landed["meta"]["degraded"] == "none"
    assert (ids_of(landed)[0], landed["data"][0]["rank"]) == (posts[2], 1), "places close up"


# ---------- degradation


async def test_a_chart_outlives_clickhouse(
    settings: Settings,
    catalogue: Catalogue,
    bearer: Token,
    posts: list[int],
    clickhouse_proxy: Proxy,
) -> None:
    """Fresh from Redis for a minute, then told to be stale for a day, then refused."""
    lines = msgspec.structs.replace(settings, clickhouse_url=clickhouse_proxy.url)
    async with serving(lines) as api:
        good = await chart(api, bearer(1))
        assert not good["meta"]["cache_hit"]
    clickhouse_proxy.cut()
    for seconds, degraded in ((0, "none"), (FRESH_SECONDS, "stale")):
        age_charts(settings, "posts", seconds)
        async with serving(lines) as api:
            kept = await chart(api, bearer(1))
        assert kept["data"] == good["data"]
        assert (kept["meta"]["degraded"], kept["meta"]["cache_hit"]) == (degraded, True)
        assert kept["meta"]["fallback"] == (degraded == "stale")
    age_charts(settings, "posts", settings.stale_ttl_seconds)
    async with serving(lines) as api:
        refused = await api.get(PATH, headers=bearer(1))
        assert refused.status_code == 503
        assert refused.headers["content-type"] == "application/problem+json"
        assert int(refused.headers["retry-after"]) > 0

        clickhouse_proxy.mend()
        for _ in range(300):  # until the circuit lets a probe through
            back = await api.get(PATH, headers=bearer(1))
            if back.status_code == 200:
                break
            await asyncio.sleep(0.1)
        assert back.json()["meta"]["degraded"] == "none"


@pytest.mark.parametrize(
    ("path", "table"),
    [(PATH, "trending_posts"), ("/api/v1/reels/trending", "trending_reels")],
)
async def test_a_chart_that_is_no_longer_counted_is_stale(
    settings: Settings,
    catalogue: Catalogue,
    bearer: Token,
    posts: list[int],
    path: str,
    table: str,
) -> None:
    """However often it is read: what it tells is when it was counted."""

    async def meta() -> dict[str, Any]:
        async with serving(settings) as api:
            response = await api.get(path, headers=bearer(1), params={"window": "24h"})
        assert response.status_code == 200, response.text
        told: dict[str, Any] = response.json()["meta"]
        return told

    catalogue.client.command(f"system stop view nova.{table}_mv")
    try:
        [counted_at] = catalogue.client.query(f"select max(counted_at) from nova.{table}").first_row
        told = await meta()
        assert told["total_count"] > 0
        assert datetime.fromisoformat(told["as_of"]).replace(tzinfo=None) == counted_at
        catalogue.client.command(
            f"alter table nova.{table} update counted_at = counted_at - interval 1 hour "
            "where true settings mutations_sync = 1"
        )
        age_charts(settings, table.removeprefix("trending_"), FRESH_SECONDS)
        told = await meta()
        assert (told["degraded"], told["fallback"]) == ("stale", True)
        hour = timedelta(hours=1)
        assert datetime.fromisoformat(told["as_of"]).replace(tzinfo=None) == counted_at - hour
    finally:
        catalogue.client.command(f"system start view nova.{table}_mv")
        catalogue.refresh()


def test_a_chart_is_stale_when_it_was_not_counted_at_three_turns() -> None:
    variables = yaml.safe_load((ROOT / "dbt_project.yml").read_text())["vars"]
    turns = variables["trending_refresh_seconds"], variables["trending_posts_refresh_seconds"]
    assert max(turns) * 3 == COUNTED_SECONDS
    assert variables["trending_uses_refresh_seconds"] * 3 == UseChartSource.counted_seconds


async def test_without_redis_charts_come_from_clickhouse(
    settings: Settings, catalogue: Catalogue, bearer: Token, posts: list[int], redis_proxy: Proxy
) -> None:
    redis_proxy.cut()
    async with serving(msgspec.structs.replace(settings, redis_url=redis_proxy.url)) as api:
        body = await chart(api, bearer(1))
    assert ids_of(body)[:3] == posts
    assert body["meta"]["degraded"] == "none"


@pytest.fixture
async def charts(
    settings: Settings, catalogue: Catalogue, clickhouse_proxy: Proxy, redis_proxy: Proxy
) -> AsyncIterator[Callable[[], PostCharts]]:
    """The charts of processes that know nothing yet; Postgres is away, the others may be cut."""
    lines = msgspec.structs.replace(
        settings,
        clickhouse_url=clickhouse_proxy.url,
        redis_url=redis_proxy.url,
        postgres_url=NOBODY,
    )
    made: list[Stores] = []

    def process() -> PostCharts:
        made.append(stores := Stores(lines))
        counters = CounterStore(stores.redis, stores.postgres, lines)
        return PostCharts(stores.clickhouse, stores.postgres, stores.redis, counters, lines)

    yield process
    for stores in made:
        await stores.close()


async def test_post_ids_come_from_redis_or_the_process_and_never_from_clickhouse(
    charts: Callable[[], PostCharts],
    posts: list[int],
    clickhouse_proxy: Proxy,
    redis_proxy: Proxy,
) -> None:
    reader = charts()
    assert await reader.post_ids(Window.HOUR) == [], "nobody has read it yet"
    assert clickhouse_proxy.requests == 0

    await charts().refresh(Window.HOUR)  # as the worker does
    clickhouse_proxy.cut()
    assert (await reader.post_ids(Window.HOUR))[:3] == posts
    asked = redis_proxy.requests
    assert (await reader.post_ids(Window.HOUR))[:3] == posts
    assert redis_proxy.requests == asked, "it is not read anew for everybody"
    assert await reader.post_ids(Window.WEEK) == []

    redis_proxy.cut()
    assert (await reader.post_ids(Window.HOUR))[:3] == posts, "what this process knows"
    assert await charts().post_ids(Window.HOUR) == []


async def test_a_chart_reads_a_bounded_number_of_rows(
    catalogue: Catalogue, posts: list[int]
) -> None:
    """However many posts there are: by key, in granules of 256 rows."""
    first = new_id() + 10**6

    def rows_read() -> int:
        read = catalogue.client.query(
            "select post_id from nova.chart__posts(chart_window = '1h', places = 2)"
        )
        assert {row[0] for row in read.result_rows} == set(posts[:2])
        return int(read.summary["read_rows"])

    rows_read()
    before = rows_read()
    for table, columns in (
        ("posts", "post_id, author_id, created_at"),
        ("post_engagement", "post_id, likes, comments"),
    ):
        catalogue.client.command(
            f"insert into raw.{table} ({columns}, deleted, _txid, _version) "
            f"select {first} + number, 1, 1, false, 1, 1 from numbers(100000)"
        )
    assert rows_read() < before + 20_000
    catalogue.client.command(f"delete from raw.posts where post_id >= {first}")
    catalogue.client.command(f"delete from raw.post_engagement where post_id >= {first}")


# ---------- from a press of a button to the chart


@contextmanager
def charts_worker(settings: Settings) -> Iterator[None]:
    """Run the worker, as `up` does."""
    process = subprocess.Popen(
        [sys.executable, "-m", "api.workers.charts"], cwd=ROOT, env=child_environment(settings)
    )
    try:
        yield
    finally:
        process.terminate()
        assert process.wait(30) == 0, "it ends when told to"


@pytest.fixture
def charted(settings: Settings, own_clickhouse_url: str, tmp_path: Path) -> Settings:
    """A ClickHouse whose only reactions are the test's; of its models there are the charts."""
    built = dbt(
        ["run", "--quiet", "--select", "trending_posts", "chart__posts"],
        own_clickhouse_url,
        target_path=tmp_path / "dbt",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert built.returncode == 0, built.stdout.decode()
    return msgspec.structs.replace(settings, clickhouse_url=own_clickhouse_url)


def test_accounts_that_have_no_room_are_counted_on_disk(charted: Settings) -> None:
    """The view's own query, with less room: it spills, and counts the same."""
    variables = yaml.safe_load((ROOT / "dbt_project.yml").read_text())["vars"]
    with clickhouse_connect.get_client(
        dsn=charted.clickhouse_url, autogenerate_session_id=False
    ) as client:
        client.command(
            "insert into raw.posts (post_id, author_id, created_at, deleted, _txid, _version)"
            " select number + 1, 1, now64(3), false, 1, 1 from numbers(100)"
        )
        client.command(
            "insert into raw.post_actors_1m (at_minute, post_id, user_id, likes)"
            " select toStartOfMinute(now() - interval 2 day), 1 + number % 100, number, 1"
            " from numbers(300000)"
        )
        [counting] = client.query(
            "select as_select from system.tables where name = 'trending_posts_mv'"
        ).first_row
        bound = f"max_bytes_before_external_group_by = {variables['trending_posts_spill_bytes']}"
        assert counting.endswith(bound)

        def spilled() -> int:
            return int(
                client.command(
                    "select sum(value) from system.events"
                    " where event = 'ExternalAggregationWritePart'"
                )
            )

        before = spilled()
        narrow = counting.replace(bound, "max_bytes_before_external_group_by = 4000000")
        points = [row[5] for row in client.query(narrow).result_rows]
        assert points == [3000] * 100
        assert spilled() > before
        for table in ("post_actors_1m", "posts"):
            client.command(f"truncate table raw.{table}")


async def test_a_planted_pattern_comes_out_as_computed_by_hand(
    charted: Settings, bearer: Token
) -> None:
    """
    Through Postgres, change capture, ClickHouse and the worker; an unlike, an attacker and a late
    surge included. A like is 1 point, a comment 2, a share 3; accounts count, not actions.
    """
    now = datetime.now(UTC)
    attacker, last_minute = 666, timedelta(seconds=5)
    nobody_there = msgspec.structs.replace(charted, clickhouse_url="http://127.0.0.1:1/")
    async with serving(nobody_there) as api:

        async def post(author: int) -> str:
            made = await api.post("/api/v1/posts", headers=bearer(author), json={"body": "Hello"})
            assert made.status_code == 201, made.text
            return str(made.json()["post_id"])

        async def act(user: int, item: str, action: str, ago: timedelta, times: int = 1) -> None:
            events = [
                {
                    "event_time": (now - ago - timedelta(seconds=number)).isoformat(),
                    "item_id": item,
                    "item_type": "post",
                    "action": action,
                    "device": "phone",
                    "app_ver": "1.0.0",
                }
                for number in range(times)
            ]
            sent = await api.post("/api/v1/events", headers=bearer(user), json={"events": events})
            assert sent.json() == {"received": times, "deduped": 0}

        async def unlike(user: int, item: str) -> None:
            undone = await api.delete(f"/api/v1/posts/{item}/like", headers=bearer(user))
            assert undone.status_code == 200

        def count() -> None:
            land_until_settled(charted)
            refresh_chart(clickhouse)

        async def points(window: str) -> dict[str, float]:
            body = await chart(api, bearer(1), window=window)
            assert body["meta"]["degraded"] == "none"
            return {item["post_id"]: item["score"] for item in body["data"]}

        favourite, hammered, yesterdays, surging = [await post(author) for author in (1, 2, 3, 4)]
        week, day, hour = timedelta(days=3), timedelta(hours=5), timedelta(minutes=30)
        for user in (11, 12, 13, 14, 15):
            await act(user, favourite, "like", week)
        for user in (11, 12, 13):
            await act(user, favourite, "share", week)
        await unlike(15, favourite)  # 4 likes and 3 shares are left in the week: 13
        for user in (21, 22):
            await act(user, yesterdays, "comment", day)
            await act(user, yesterdays, "comment", day + timedelta(hours=1))
        await act(23, yesterdays, "like", day)  # 2 accounts commented, 1 liked: 5
        for action in ("comment", "share"):  # 300 each are worth one each, and a like: 6
            for start in range(3):
                ago = hour + timedelta(seconds=120 * start)
                await act(attacker, hammered, action, ago, times=100)
        await act(attacker, hammered, "like", hour)
        await act(31, surging, "like", last_minute)  # 1, so far

        with (
            clickhouse_connect.get_client(dsn=charted.clickhouse_url) as clickhouse,
            charts_worker(charted),
        ):
            count()
            wanted = {
                "1h": {hammered: 6, surging: 1},
                "24h": {hammered: 6, yesterdays: 5, surging: 1},
                "7d": {favourite: 13, hammered: 6, yesterdays: 5, surging: 1},
            }
            for window, by_hand in wanted.items():
                await until_shown(lambda w=window: points(w), by_hand)  # type: ignore[misc]

            # The surge: seven accounts, one of whom presses twice and twice back.
            for user in range(31, 38):
                liked = await api.post(f"/api/v1/posts/{surging}/like", headers=bearer(user))
                assert liked.json()["liked"]
            await unlike(37, surging)
            await api.post(f"/api/v1/posts/{surging}/like", headers=bearer(37))
            await unlike(36, surging)
            count()  # 6 likes, by 31 to 35 and 37
            await until_shown(
                lambda: points("7d"), {favourite: 13, surging: 6, hammered: 6, yesterdays: 5}
            )


async def until_shown(read: Callable[[], Any], wanted: dict[str, float]) -> None:
    """Wait until a chart is as it should be, in this order."""
    deadline = time.monotonic() + 60
    while True:
        try:
            shown = await read()
        except AssertionError:  # nobody has read it yet: 503
            shown = {}
        if list(shown.items()) == list(wanted.items()):
            return
        assert time.monotonic() < deadline, f"{shown} is not {wanted}"


def test_what_lies_between_a_reaction_and_the_chart_is_less_than_a_minute(
    catalogue: Catalogue,
) -> None:
    """ClickHouse's interval and counting, the worker's and the service's copies, and landing."""
    refreshed = str(catalogue.client.command("show create table nova.trending_posts_mv"))
    seconds = float(refreshed.partition("REFRESH EVERY ")[2].split()[0])
    assert "SECOND" in refreshed.partition("REFRESH EVERY ")[2].split()[1]
    counting, landing = 5, 2  # of ten million reactions a week, and of a busy second (seconds)
    assert seconds + counting + EVERY_SECONDS + COPY_SECONDS + landing < 60
