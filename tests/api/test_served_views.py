"""Rankings ask for what the serving views say, and notice when those change."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest
from clickhouse_connect.driver import Client

from api.reels.queries import SQL, ReelQueries, Viewer
from api.settings import Settings
from api.snapshots.releases import ReleaseWatch
from api.snapshots.store import now_ms
from api.stores import ClickHouse, StoreUnavailableError
from api.views import ViewTexts
from tests.api.conftest import Catalogue, new_id
from tests.api.proxy import Proxy

ASKED = "select x from nova.feed__one(viewer_id = {viewer_id:UInt64}) order by x"


def test_a_known_view_is_written_out_and_nothing_else() -> None:
    views = ViewTexts()
    assert views.written_out(ASKED) == ASKED
    views.learn({"feed__one": "SELECT {viewer_id:UInt64} AS x"})
    assert views.written_out(ASKED) == (
        "select x from (\nSELECT {viewer_id:UInt64} AS x\n) as feed__one order by x"
    )
    for other in (
        "select x from nova.feed__two(viewer_id = {viewer_id:UInt64})",
        "select x from nova.feed__one(viewer_id = {other:UInt64})",  # under another name
        "select x from nova.feed__one(viewer_id = 7)",
        "select x from nova.feed__one",
    ):
        assert views.written_out(other) == other
    views.forget()
    assert views.written_out(ASKED) == ASKED


def test_every_statement_that_calls_a_view_can_be_written_out() -> None:
    views = ViewTexts()
    views.learn({"feed__reels": "TEXT"})
    for name, statement in SQL.items():
        assert ("TEXT" in views.written_out(statement)) == (name == "feed"), name
        assert "nova.feed__" not in views.written_out(statement)


async def ranked(queries: ReelQueries, *viewers: Viewer) -> list[list[int]]:
    rankings = await queries.rank(viewers, now_ms(), 30)
    return [[item.item_id for item in items] for items in rankings]


async def test_viewers_are_ranked_in_one_statement_as_each_alone(
    settings: Settings, catalogue: Catalogue, clickhouse_proxy: Proxy
) -> None:
    """The chart of the day is 200 videos; a walk that has shown them goes on with the newest."""
    settings = msgspec.structs.replace(settings, clickhouse_url=clickhouse_proxy.url)
    clickhouse = ClickHouse(settings)
    queries = ReelQueries(clickhouse, settings)
    one, other = (Viewer(new_id(), "default", ()) for _ in range(2))
    try:
        await ReleaseWatch(clickhouse).look()
        clickhouse_proxy.wanted, clickhouse_proxy.requests = b"viewer_ids", 0
        [first] = await ranked(queries, one)
        assert (len(first), clickhouse_proxy.requests) == (200, 1)
        later = one._replace(shown=first)
        [second] = await ranked(queries, later)
        assert len(second) > 200
        assert not set(first) & set(second)
        clickhouse_proxy.requests = 0
        assert await ranked(queries, later, other, other) == [second, first, first]
        assert clickhouse_proxy.requests == 1
        clickhouse_proxy.wanted, clickhouse_proxy.requests = b"nova.feed__", 0
        assert await ranked(queries, one) == [first]
        assert clickhouse_proxy.requests == 0, "what the view says was sent"
    finally:
        await clickhouse.close()


@pytest.fixture
def view(clickhouse: Client) -> Iterator[str]:
    """A serving view of this test's, `feed__one`, over a table `one`."""
    clickhouse.command("create or replace table nova.one (x UInt64) engine = MergeTree order by x")
    clickhouse.command("insert into nova.one values (1)")
    clickhouse.command(
        "create or replace view nova.feed__one as select x + {viewer_id:UInt64} as x from nova.one"
    )
    yield "feed__one"
    clickhouse.command("drop view if exists nova.feed__one sync")
    clickhouse.command("drop table if exists nova.one sync")


async def test_a_replaced_view_is_noticed_and_a_replaced_table_below_it_too(
    settings: Settings, clickhouse: Client, view: str
) -> None:
    store = ClickHouse(settings)
    releases = ReleaseWatch(store)

    async def answer() -> int:
        return int((await store.query(ASKED, {"viewer_id": 10})).result_set[0][0])

    try:
        await releases.look()
        assert "nova.one" in store.views.written_out(ASKED)
        assert await answer() == 11
        clickhouse.command(
            f"create or replace view nova.{view} as"
            " select x * {viewer_id:UInt64} as x from nova.one"
        )
        await releases.look()
        assert await answer() == 10

        # A build between two looks: the text that is known reads a column that is gone.
        clickhouse.command(
            "create or replace table nova.one (y UInt64) engine = MergeTree order by y"
        )
        clickhouse.command("insert into nova.one values (7)")
        clickhouse.command(
            f"create or replace view nova.{view} as"
            " select y + {viewer_id:UInt64} as x from nova.one"
        )
        assert await answer() == 17
        await releases.look()
        assert "y +" in store.views.written_out(ASKED)

        clickhouse.command(f"drop view nova.{view} sync")
        await releases.look()
        with pytest.raises(StoreUnavailableError):
            await answer()
    finally:
        await store.close()
