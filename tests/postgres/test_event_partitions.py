"""Weekly partitions of events: made ahead, dropped when expired."""

from __future__ import annotations

import threading
from typing import Any

import psycopg
import pytest

Connection = psycopg.Connection[Any]


def partitions(connection: Connection) -> list[str]:
    rows = connection.execute(
        "select inhrelid::regclass::text from pg_inherits"
        " where inhparent = 'app.events'::regclass order by 1"
    )
    return [name.removeprefix("app.") for (name,) in rows]


def ensure(connection: Connection, start: str, end: str) -> int:
    row = connection.execute("select app.ensure_event_partitions(%s, %s)", (start, end)).fetchone()
    assert row is not None
    return int(row[0])


def test_a_range_gets_every_week_it_touches_and_only_once(postgres: Connection) -> None:
    before = partitions(postgres)
    assert ensure(postgres, "2020-01-05 23:59:59Z", "2020-01-13 00:00:00Z") == 3
    assert ensure(postgres, "2020-01-05 23:59:59Z", "2020-01-13 00:00:00Z") == 0
    made = sorted(set(partitions(postgres)) - set(before))
    assert made == ["events_y2019m12d30", "events_y2020m01d06", "events_y2020m01d13"]


def test_weeks_do_not_depend_on_the_time_zone_of_the_session(postgres: Connection) -> None:
    postgres.execute("set timezone = 'Pacific/Auckland'")
    assert ensure(postgres, "2020-01-05 23:59:59Z", "2020-01-06 00:00:00Z") == 2
    postgres.execute("set timezone = 'America/Los_Angeles'")
    assert ensure(postgres, "2020-01-05 23:59:59Z", "2020-01-06 00:00:00Z") == 0


def test_a_migrated_database_takes_events_from_a_month_ago_to_weeks_ahead(
    postgres: Connection,
) -> None:
    row = postgres.execute(
        "select app.ensure_event_partitions(now() - interval '31 days', now() + interval '14 days')"
    ).fetchone()
    assert row == (0,)


def test_expired_weeks_go_and_the_others_stay(postgres: Connection) -> None:
    kept = partitions(postgres)
    ensure(postgres, "2020-01-06Z", "2020-01-20Z")
    drop = "select app.drop_expired_event_partitions('60 days')"
    assert postgres.execute(drop).fetchone() == (3,)
    assert postgres.execute(drop).fetchone() == (0,)
    assert partitions(postgres) == kept


def test_a_week_is_kept_until_its_last_event_has_expired(postgres: Connection) -> None:
    """Kept for exactly as long as asked: the week that holds now() - keep must survive."""
    postgres.execute("select app.drop_expired_event_partitions('10 days')")
    row = postgres.execute(
        "select to_regclass('app.' || app.event_partition_name(now() - interval '10 days'))::text,"
        " to_regclass('app.' || app.event_partition_name(now() - interval '17 days'))::text"
    ).fetchone()
    assert row is not None
    assert row[0] is not None
    assert row[1] is None


def test_two_sessions_may_make_the_same_weeks_at_once(
    postgres_url: str, postgres: Connection
) -> None:
    made: list[int] = []

    def make() -> None:
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            made.append(ensure(connection, "2020-01-01Z", "2020-02-26Z"))

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(made) == 4
    assert sum(made) == 9


def test_maintenance_twice_changes_nothing_the_second_time(postgres: Connection) -> None:
    postgres.execute("select app.drop_expired_event_partitions('0 days')")
    first = postgres.execute("select app.maintain_event_partitions()").fetchone()
    second = postgres.execute("select app.maintain_event_partitions()").fetchone()
    assert first is not None
    assert first[0] > 0
    assert second == (0,)


@pytest.mark.parametrize(
    ("start", "end"), [("2020-02-01Z", "2020-01-01Z"), ("-infinity", "infinity"), (None, "now")]
)
def test_what_is_no_range_is_refused(postgres: Connection, start: str, end: str) -> None:
    with pytest.raises(psycopg.errors.RaiseException, match="not a range"):
        ensure(postgres, start, end)
