"""Is ClickHouse what Postgres is? Row for row, and every rollup against a recount by Postgres."""

from __future__ import annotations

from collections import Counter
from typing import Any

import clickhouse_connect
import psycopg
from msgspec import Struct

MS = "floor(extract(epoch from {0}) * 1000)::bigint"
TO_MS = "toUnixTimestamp64Milli({0})"
CAPTURE = "deleted, _txid, _version"


class Pair(Struct, frozen=True):
    """Two questions that must have the same answer, as multisets of rows."""

    name: str
    postgres: str
    clickhouse: str


def entity(table: str, postgres: str, clickhouse: str) -> Pair:
    return Pair(
        table,
        f"select {postgres}, {CAPTURE} from app.{table}",
        f"select {clickhouse}, {CAPTURE} from raw.{table} final",
    )


CREATED, TO_CREATED = MS.format("created_at"), TO_MS.format("created_at")

VIDEO_TOTALS = "video_id, views, round(completions::numeric, 3)::float8, watch_ms, likes, shares"
POST_TOTALS = "post_id, exposures, views, likes, shares, comments, dwell_ms"

ENTITIES = [
    entity("users", f"id, coalesce(username, ''), {CREATED}", f"user_id, username, {TO_CREATED}"),
    entity(
        "follows",
        f"follower_id, followee_id, {CREATED}, coalesce({MS.format('ended_at')}, 0)",
        f"follower_id, followee_id, {TO_CREATED}, {TO_MS.format('ended_at')}",
    ),
    entity("blocks", f"blocker_id, blocked_id, {CREATED}", f"blocker_id, blocked_id, {TO_CREATED}"),
    entity(
        "sounds", f"id, name, is_original, {CREATED}", f"sound_id, name, is_original, {TO_CREATED}"
    ),
    entity(
        "videos",
        "id, creator_id, coalesce(sound_id, 0), coalesce(category, ''), title, description, "
        "array_to_string(hashtags, '|'), duration_ms, status, thumbnail_url, "
        f"{CREATED}, coalesce({MS.format('published_at')}, 0)",
        "video_id, creator_id, sound_id, category, title, description, "
        "arrayStringConcat(hashtags, '|'), duration_ms, status, thumbnail_url, "
        f"{TO_CREATED}, {TO_MS.format('published_at')}",
    ),
    entity(
        "video_engagement",
        f"{VIDEO_TOTALS}, comments",
        f"{VIDEO_TOTALS.replace('completions::numeric, 3)::float8', 'completions, 3)')}, comments",
    ),
    entity(
        "not_interested",
        f"user_id, video_id, {CREATED}",
        f"user_id, video_id, {TO_CREATED}",
    ),
    entity(
        "not_interested_posts",
        f"user_id, post_id, {CREATED}",
        f"user_id, post_id, {TO_CREATED}",
    ),
    entity(
        "posts",
        f"id, author_id, body, array_to_string(hashtags, '|'), {CREATED}",
        f"post_id, author_id, body, arrayStringConcat(hashtags, '|'), {TO_CREATED}",
    ),
    entity("post_engagement", POST_TOTALS, POST_TOTALS),
    entity(
        "deep_recall_models",
        f"model_version, provider, dimensions, active, metrics->>'recall_at_50', {CREATED}, "
        f"coalesce({MS.format('activated_at')}, 0)",
        "model_version, provider, dimensions, active, "
        f"nullIf(JSONExtractString(metrics, 'recall_at_50'), ''), {TO_CREATED}, "
        f"{TO_MS.format('activated_at')}",
    ),
]

EVENTS = Pair(
    "events",
    """
    select
        idempotent_key, extract(epoch from event_time)::bigint, user_id, item_id, item_type,
        coalesce(author_id, 0), action, dwell_ms, watch_ms,
        coalesce((completion * 1000)::int, -1000), device, app_ver,
        coalesce(feed_request_id::text, '00000000-0000-0000-0000-000000000000'), _txid
    from app.events
    """,
    """
    select
        idempotent_key, toUnixTimestamp(event_time), user_id, item_id, item_type,
        author_id, action, dwell_ms, watch_ms,
        toInt32(round(completion * 1000)), device, app_ver, toString(feed_request_id), _txid
    from raw.events
    """,
)


def count(action: str) -> str:
    return f"count(*) filter (where action = '{action}')"


def net(added: str, removed: str) -> str:
    return f"{count(added)} - {count(removed)}"


ROLLUPS = [
    Pair(
        "video_ranking_signals_1h",
        f"""
        select
            item_id, (extract(epoch from date_trunc('hour', event_time)))::bigint,
            {count("impression")}, {count("view")},
            (coalesce(sum(completion::float8) filter (where action = 'view'), 0) * 10)::bigint,
            count(completion) filter (where action = 'view'),
            coalesce(sum(watch_ms) filter (where action = 'view'), 0)::bigint,
            {net("like", "unlike")}, {count("share")}, {net("comment", "uncomment")},
            {count("not_interested")}
        from app.events
        where item_type = 'video' and action not in ('dwell', 'follow_from_item', 'profile_visit')
        group by 1, 2
        """,
        """
        select
            video_id, toUnixTimestamp(hour), sum(impressions), sum(views),
            toInt64(round(sum(completions) * 10)), sum(known_completions), sum(watch_ms),
            sum(likes), sum(shares), sum(comments), sum(not_interested)
        from raw.video_ranking_signals_1h
        group by video_id, hour
        """,
    ),
    Pair(
        "post_metrics_1h",
        f"""
        select
            item_id, author_id, (extract(epoch from date_trunc('hour', event_time)))::bigint,
            {count("impression")}, {count("view")}, {net("like", "unlike")},
            {net("comment", "uncomment")}, {count("share")}, sum(dwell_ms)::bigint
        from app.events
        where item_type = 'post'
        group by 1, 2, 3
        """,
        """
        select
            post_id, author_id, toUnixTimestamp(hour), sum(exposures), sum(views), sum(likes),
            sum(comments), sum(shares), sum(dwell_ms_sum)
        from raw.post_metrics_1h
        group by post_id, author_id, hour
        """,
    ),
    Pair(
        "post_actors_1m",
        f"""
        select
            (extract(epoch from date_trunc('minute', event_time)))::bigint, item_id, user_id,
            {net("like", "unlike")}, {net("comment", "uncomment")}, {count("share")}
        from app.events
        where
            item_type = 'post'
            and action in ('like', 'unlike', 'comment', 'uncomment', 'share')
        group by 1, 2, 3
        """,
        """
        select
            toUnixTimestamp(at_minute), post_id, user_id, sum(likes), sum(comments), sum(shares)
        from raw.post_actors_1m
        group by at_minute, post_id, user_id
        """,
    ),
    Pair(
        "user_author_90d",
        f"""
        select
            user_id, author_id, (extract(epoch from date_trunc('day', event_time)) / 86400)::bigint,
            {net("like", "unlike")}, {net("comment", "uncomment")}, {count("view")},
            {count("share")}
        from app.events
        where
            author_id <> 0
            and action in ('like', 'unlike', 'comment', 'uncomment', 'view', 'share')
        group by 1, 2, 3
        """,
        """
        select
            user_id, author_id, toInt64(toUInt16(day)), sum(likes), sum(comments), sum(views),
            sum(shares)
        from raw.user_author_90d
        group by user_id, author_id, day
        """,
    ),
    Pair(
        "user_watch_history",
        """
        select user_id, item_type, item_id, max(extract(epoch from event_time))::bigint, count(*)
        from app.events
        where action = 'view'
        group by 1, 2, 3
        """,
        """
        select user_id, item_type, item_id, toUnixTimestamp(max(watched_at)), sum(watches)
        from raw.user_watch_history
        group by user_id, item_type, item_id
        """,
    ),
    Pair(
        "viewer_facts",
        f"""
        select
            user_id,
            case when action = 'view' then 'seen_video' else 'reacted_creator' end,
            case when action = 'view' then item_id else author_id end,
            case
                when action = 'view' then 0
                else (extract(epoch from date_trunc('day', event_time)) / 86400)::bigint
            end,
            coalesce(extract(epoch from max(event_time) filter (where action = 'view')), 0)::bigint,
            {net("like", "unlike")}, {net("comment", "uncomment")}
        from app.events
        where
            (action = 'view' and item_type = 'video')
            or (action in ('like', 'unlike', 'comment', 'uncomment') and author_id <> 0)
        group by 1, 2, 3, 4
        """,
        """
        select
            viewer_id, list, id, toInt64(toUInt16(day)), toUnixTimestamp(max(seen_at)), sum(likes),
            sum(comments)
        from raw.viewer_facts
        where list in ('seen_video', 'reacted_creator')
        group by viewer_id, list, id, day
        """,
    ),
]

STANDS = "2 * _version + case when deleted then 0 else 1 end"

RELATIONS = Pair(
    "viewer_facts of relations",
    f"""
    select follower_id, 'followee', followee_id, {STANDS} from app.follows
    union all
    select blocker_id, 'blocked', blocked_id, {STANDS} from app.blocks
    union all
    select blocked_id, 'blocked_by', blocker_id, {STANDS} from app.blocks
    union all
    select user_id, 'not_interested', video_id, {STANDS} from app.not_interested
    """,
    """
    select viewer_id, list, id, max(stands)
    from raw.viewer_facts
    where list not in ('seen_video', 'reacted_creator')
    group by viewer_id, list, id
    """,
)

# A sum that came back to nothing may have left the rollup (SummingMergeTree drops zero rows).
KEY_COLUMNS = {
    "video_ranking_signals_1h": 2,
    "post_metrics_1h": 3,
    "post_actors_1m": 3,
    "user_author_90d": 3,
    "user_watch_history": 3,
    "viewer_facts": 4,
}


def says_something(name: str, row: tuple[Any, ...]) -> bool:
    keys = KEY_COLUMNS.get(name)
    return keys is None or any(row[keys:])


Rows = list[tuple[Any, ...]]
# Of a pair, by its name: what Postgres says, and what ClickHouse says.
Said = dict[str, tuple[Rows, Rows]]


def said(postgres_url: str, clickhouse_url: str, pairs: list[Pair]) -> Said:
    """Return what both databases say."""
    with (
        psycopg.connect(postgres_url, options="-c timezone=UTC") as postgres,
        clickhouse_connect.get_client(
            dsn=clickhouse_url, autogenerate_session_id=False
        ) as clickhouse,
    ):
        return {
            pair.name: (
                list(postgres.execute(pair.postgres)),  # type: ignore[arg-type]
                [tuple(row) for row in clickhouse.query(pair.clickhouse).result_rows],
            )
            for pair in pairs
        }


def since(name: str, now: Rows, before: Rows) -> Counter[tuple[Any, ...]]:
    """Return rows that say something, sums as what was added to them."""
    keys = KEY_COLUMNS.get(name)
    if keys is not None and before:
        earlier = {row[:keys]: row[keys:] for row in before}
        now = [
            (*row[:keys], *(a - b for a, b in zip(row[keys:], earlier[row[:keys]], strict=True)))
            if row[:keys] in earlier
            else row
            for row in now
        ]
    return Counter(row for row in now if says_something(name, row))


def differences(
    postgres_url: str, clickhouse_url: str, pairs: list[Pair], before: Said | None = None
) -> dict[str, str]:
    """Return what differs, of what was added since `before`: name of the table, and how."""
    found = {}
    for name, (postgres, clickhouse) in said(postgres_url, clickhouse_url, pairs).items():
        wanted_before, had_before = (before or {}).get(name, ([], []))
        wanted = since(name, postgres, wanted_before)
        have = since(name, clickhouse, had_before)
        if wanted != have:
            missing, extra = wanted - have, have - wanted
            found[name] = (
                f"{wanted.total()} rows wanted, {missing.total()} missing, "
                f"{extra.total()} too many; such as {list(missing)[:2]} {list(extra)[:2]}"
            )
    return found


def assert_landed_exactly(postgres_url: str, clickhouse_url: str) -> None:
    """ClickHouse holds every row of Postgres once, and every rollup equals a recount."""
    found = differences(postgres_url, clickhouse_url, [*ENTITIES, EVENTS, *ROLLUPS, RELATIONS])
    assert not found, str(found)
