-- What a viewer has seen, and when last: the 30-day "never again" of every feed. Not partitioned,
-- because a feed reads one viewer's rows, all months at once.
--
-- Read with max(watched_at), sum(watches) and group by: parts merge late. An older watch may expire
-- before a newer one of the same item merges with it, so `watches` counts within 30 days, roughly.
create table if not exists raw.user_watch_history ${on_cluster} ( -- noqa: PRS
    user_id UInt64 comment 'Viewer',
    item_type LowCardinality(String) comment 'video or post',
    item_id UInt64 comment 'Item they saw',
    watched_at SimpleAggregateFunction(max, DateTime('UTC')) comment 'When last (UTC); max()',
    watches SimpleAggregateFunction(sum, UInt64) comment 'How often (count); sum()'
)
engine = ${replicated}AggregatingMergeTree
order by (user_id, item_type, item_id)
ttl watched_at + interval 30 day
settings
    index_granularity = 256,
    non_replicated_deduplication_window = 10000,
    replicated_deduplication_window = 10000,
    replicated_deduplication_window_seconds = 604800
comment 'One row per viewer and item, after max() and sum().';

create materialized view if not exists raw.user_watch_history_mv ${on_cluster}
to raw.user_watch_history
as
select
    user_id,
    item_type,
    item_id,
    max(event_time) as watched_at,
    count() as watches
from raw.events
where action = 'view'
group by
    user_id,
    item_type,
    item_id;
