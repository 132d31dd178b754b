"""Is everything that was acknowledged there, once, and nothing else? In both databases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

import clickhouse_connect
import psycopg
from msgspec import Struct

from api.settings import Settings
from tests.clickhouse.equality import EVENTS, ROLLUPS, Pair, Said, differences, said

# Rollups by viewer, and the column that says which.
VIEWERS = {
    EVENTS.name: "user_id",
    "user_author_90d": "user_id",
    "user_watch_history": "user_id",
    "viewer_facts": "viewer_id",
}
# Times of the other rollups; hours where not said.
TIMES = {"post_actors_1m": "at_minute"}

# Completions of a run have three decimals; so many are compared, whatever was there before.
TENTHS, THOUSANDTHS = "* 10)", "* 1000)"

OF_POSTGRES = """
select idempotent_key
from app.events
where event_time >= %(since)s and user_id between %(first)s and %(last)s
"""
OF_CLICKHOUSE = """
select idempotent_key
from raw.events
where
    user_id between {first:UInt64} and {last:UInt64}
    and event_time >= {since:DateTime('UTC')}
"""


class Exactness(Struct):
    """What was found (counts of events); right when the last seven are nothing."""

    acknowledged: int
    in_postgres: int
    in_clickhouse: int
    lost_in_postgres: int
    lost_in_clickhouse: int
    surplus_in_postgres: int
    surplus_in_clickhouse: int
    twice_in_clickhouse: int
    miscounted_requests: int
    differences: dict[str, str]

    @property
    def is_exact(self) -> bool:
        """Say whether nothing is missing, too much, or different."""
        return not self.differences and not any(
            (
                self.lost_in_postgres,
                self.lost_in_clickhouse,
                self.surplus_in_postgres,
                self.surplus_in_clickhouse,
                self.twice_in_clickhouse,
                self.miscounted_requests,
            )
        )


class Scope(Struct, frozen=True):
    """The viewers of a run, whose ids nobody else has, and the time of their oldest event."""

    viewers: range
    since: datetime

    @property
    def hours(self) -> tuple[datetime, datetime]:
        """Whole hours that hold every event of the run."""
        first = self.since.replace(minute=0, second=0, microsecond=0)
        return first, datetime.now(UTC) + timedelta(hours=1)

    def of(self, pair: Pair) -> Pair:
        """Return the question about this run alone; about everybody, where viewers are no key."""
        name, postgres, clickhouse = pair.name, pair.postgres, pair.clickhouse
        among = f"between {self.viewers.start} and {self.viewers.stop - 1}"
        first, last = (int(hour.timestamp()) for hour in self.hours)
        in_time = f"event_time >= to_timestamp({first}) and event_time < to_timestamp({last})"
        if name in VIEWERS:
            here = f"user_id {among} and {in_time}"
            there = f"{VIEWERS[name]} {among}"
        else:
            at = TIMES.get(name, "hour")
            here, there = in_time, f"{at} >= toDateTime({first}) and {at} < toDateTime({last})"
        # Names of ours and numbers, nothing that came from outside.
        events = f"from (select * from app.events where {here})"  # noqa: S608
        rollup = f"from (select * from raw.{name} where {there})"  # noqa: S608
        return Pair(
            name,
            postgres.replace("from app.events", events).replace(TENTHS, THOUSANDTHS),
            clickhouse.replace(f"from raw.{name}", rollup).replace(TENTHS, THOUSANDTHS),
        )

    def said(self, settings: Settings) -> Said:
        """Return what both databases say of these hours; nothing may be on its way."""
        pairs = [self.of(pair) for pair in (EVENTS, *ROLLUPS)]
        return said(settings.postgres_url, settings.clickhouse_url, pairs)


def check(
    settings: Settings,
    scope: Scope,
    *,
    sent: Iterable[int],
    acknowledged: Iterable[int],
    miscounted_requests: int,
    before: Said,
) -> Exactness:
    """
    Compare keys of events sent and acknowledged with what both databases hold.

    Rollups are compared in what the run added to them. Everything must have landed. What was sent
    and not acknowledged may be there, once.
    """
    sent, acknowledged = set(sent), set(acknowledged)
    postgres, clickhouse = stored(settings, scope)
    return Exactness(
        acknowledged=len(acknowledged),
        in_postgres=postgres.total(),
        in_clickhouse=clickhouse.total(),
        lost_in_postgres=len(acknowledged - postgres.keys()),
        lost_in_clickhouse=len(acknowledged - clickhouse.keys()),
        surplus_in_postgres=len(postgres.keys() - sent),
        surplus_in_clickhouse=len(clickhouse.keys() - sent),
        twice_in_clickhouse=clickhouse.total() - len(clickhouse),
        miscounted_requests=miscounted_requests,
        differences=differences(
            settings.postgres_url,
            settings.clickhouse_url,
            [scope.of(pair) for pair in (EVENTS, *ROLLUPS)],
            before,
        ),
    )


def stored(settings: Settings, scope: Scope) -> tuple[Counter[int], Counter[int]]:
    """Return the keys of a run in Postgres and in ClickHouse."""
    bounds = {
        "first": scope.viewers.start,
        "last": scope.viewers.stop - 1,
        "since": scope.hours[0],
    }
    with psycopg.connect(settings.postgres_url) as connection:
        postgres = Counter(row[0] for row in connection.execute(OF_POSTGRES, bounds))
    with clickhouse_connect.get_client(dsn=settings.clickhouse_url) as client:
        columns: Sequence[Sequence[int]] = client.query(
            OF_CLICKHOUSE, parameters=bounds
        ).result_columns
    return postgres, Counter(columns[0] if columns else ())
