"""What suggestions read, and what they make of users whom very many follow, or who follow many."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import clickhouse_connect
import pytest
from clickhouse_connect.driver import Client

FANS = 250_000  # of the star (count)
STAR, HUB, VIEWER, FRIEND, COLLECTOR, BOT, NEWCOMER = range(1, 8)
FIRST_FAN = 1_000_000
FOLLOWED_BY_COLLECTOR, FOLLOWED_BY_BOT = 200_000, 3_000  # count


@pytest.fixture(scope="module")
def client(
    own_clickhouse_url: str, build_ranking_models: Callable[[str], None]
) -> Iterator[Client]:
    """A ClickHouse in which nothing happens but what the test asks."""
    with clickhouse_connect.get_client(
        dsn=own_clickhouse_url, autogenerate_session_id=False
    ) as client:
        land(client, "users", "user_id", f"select number from numbers({FIRST_FAN + FANS})")
        follows = [
            f"select {FIRST_FAN} + number, {STAR} from numbers({FANS})",
            f"select {COLLECTOR}, {FIRST_FAN} + number from numbers({FOLLOWED_BY_COLLECTOR})",
            f"select {BOT}, {FIRST_FAN} + number from numbers({FOLLOWED_BY_BOT})",
            f"select 10 + number, {HUB} from numbers(3)",
            f"select arrayJoin([{VIEWER}, {FRIEND}, {BOT}]), arrayJoin([{STAR}, {HUB}])",
        ]
        for query in follows:
            land(client, "follows", "follower_id, followee_id", query)
        build_ranking_models(own_clickhouse_url)
        client.command("system stop views")
        yield client


def land(client: Client, table: str, columns: str, query: str) -> None:
    """Land rows of a query, each as its first version."""
    client.command(
        f"insert into raw.{table} ({columns}, created_at, deleted, _txid, _version)"
        f" select *, now64(3) - interval 9 day, false, 1, 1 from ({query})"
    )


def suggested(client: Client, viewer: int) -> list[dict[str, Any]]:
    """A viewer's suggestions, best first."""
    return list(
        client.query(
            "select * from nova.suggested_users(viewer_id = {viewer:UInt64}, as_of = now64(3))"
            " order by position",
            {"viewer": viewer},
        ).named_results()
    )


def rows_selected(client: Client) -> int:
    """
    Rows read from tables since the engine began.

    Not the summary of the query: that leaves out what scalar subqueries read.
    """
    row = client.query("select value from system.events where event = 'SelectedRows'").first_row
    return int(row[0])


def rows_read(client: Client, view: str, viewer: int) -> int:
    """How many rows one list reads."""
    itself = rows_selected(client)
    itself = rows_selected(client) - itself
    before = rows_selected(client)
    client.query(
        f"select * from nova.{view}(viewer_id = {viewer}, as_of = now64(3))",
        settings={"max_threads": 1},  # as the API asks: more of them read further ahead
    )
    return rows_selected(client) - before - itself


def test_whoever_counts_rows_sees_those_of_scalars(client: Client) -> None:
    before = rows_selected(client)
    client.query("select (select sum(user_id) from raw.users)")
    assert rows_selected(client) - before >= FANS


@pytest.mark.parametrize("view", ["suggested_users", "creators_to_discover"])
@pytest.mark.parametrize("viewer", [VIEWER, COLLECTOR, NEWCOMER])
def test_a_list_reads_a_bounded_number_of_rows(client: Client, view: str, viewer: int) -> None:
    """Whether the viewer follows whom 250,000 follow, follows 200,000, or nobody."""
    assert rows_read(client, view, viewer) < FANS / 2.5


def test_a_star_is_counted_and_sampled(client: Client) -> None:
    followers, sampled = client.query(
        "select followers, length(arrayDistinct(sampled_followers)) from nova.sig_user__followers"
        f" where user_id = {STAR}"
    ).first_row
    assert (followers, sampled) == (FANS + 3, 100)


def test_who_shares_a_rare_follow_comes_before_fans_of_the_same_star(client: Client) -> None:
    """Also a friend of whom the star's sample does not know is told to share the star."""
    rows = suggested(client, VIEWER)
    assert rows[0]["user_id"] == FRIEND
    assert (rows[0]["shared_follows"], rows[0]["shared_user_ids"]) == (2, [HUB, STAR])
    assert {row["user_id"] for row in rows[1:4]} == {10, 11, 12}
    fans = rows[4:]
    assert len(fans) == 66
    assert all(row["user_id"] >= FIRST_FAN and row["shared_user_ids"] == [STAR] for row in fans)


def test_who_follows_everybody_is_suggested_to_nobody(client: Client) -> None:
    """Although they share all the viewer follows."""
    rows = suggested(client, VIEWER)
    assert BOT not in {row["user_id"] for row in rows}


def test_who_follows_nobody_sees_whom_most_follow(client: Client) -> None:
    rows = suggested(client, NEWCOMER)
    assert rows[0]["user_id"] == STAR
    assert rows[0]["reasons"] == ["popular"]
    assert len(rows) == 70
