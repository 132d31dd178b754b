-- What people did, one row each, for 30 days: the stream every rollup is counted from.
--
-- Exactly once: the writer sends fixed blocks with insert_deduplication_token, and the windows
-- below make a repeated block count once, here and in every rollup that hangs on this table. They
-- hold the last 10,000 blocks; a landing window is at most some dozens. The `replicated_` twins say
-- the same for a cluster, where the default forgets after an hour.
create table if not exists raw.events ${on_cluster} (
    event_time DateTime('UTC') comment 'When it happened, whole seconds (UTC)',
    user_id UInt64 comment 'Who did it',
    item_id UInt64 comment 'Video or post it was done to',
    item_type LowCardinality(String) comment 'video or post',
    author_id UInt64 comment 'Who made the item, 0 when unknown',
    action LowCardinality(String) comment 'impression, view (a playback), dwell, like, unlike, …',
    dwell_ms UInt32 comment 'Time the item was on screen (milliseconds)',
    watch_ms UInt32 comment 'Time it was played (milliseconds)',
    completion Float32 comment 'Part of it that was played (rate, 0 to 1), -1 when unknown',
    device LowCardinality(String) comment 'Device as the client names it',
    app_ver LowCardinality(String) comment 'Version of the client (semver)',
    feed_request_id UUID comment 'Page of the feed that showed the item, all zeros when none',
    idempotent_key Int64 comment 'Hash of user, item, action and second; unique with event_time',
    _txid UInt64 comment 'Postgres transaction that stored it; the change-capture cursor',
    landed_at DateTime64(3, 'UTC') default now64(3) comment 'When ClickHouse stored it (UTC)'
)
engine = ${replicated}MergeTree
partition by toYYYYMM(event_time)
order by (user_id, event_time, item_id, idempotent_key)
ttl event_time + interval 30 day
settings -- noqa: PRS
    index_granularity = 1024,
    non_replicated_deduplication_window = 10000,
    replicated_deduplication_window = 10000,
    replicated_deduplication_window_seconds = 604800
comment 'One row per event of the last 30 days, immutable.';
