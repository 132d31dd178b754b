-- What a post earned in an hour; 90 days. The rules of 0012 hold: sum(), and never drop.
create table if not exists raw.post_metrics_1h ${on_cluster} (
    post_id UInt64 comment 'Post being counted',
    author_id UInt64 comment 'Who wrote it',
    hour DateTime('UTC') comment 'Start of the hour (UTC)',
    exposures UInt64 comment 'Times it was shown in a feed (count)',
    views UInt64 comment 'Times it was opened (count)',
    likes Int64 comment 'Likes minus likes taken back (count)',
    comments Int64 comment 'Comments minus comments taken back (count)',
    shares UInt64 comment 'Shares (count)',
    dwell_ms_sum UInt64 comment 'Time spent on it (milliseconds)'
)
engine = ${replicated}SummingMergeTree
partition by toYYYYMM(hour)
order by (post_id, author_id, hour)
ttl hour + interval 90 day
settings -- noqa: PRS
    index_granularity = 512,
    non_replicated_deduplication_window = 10000,
    replicated_deduplication_window = 10000,
    replicated_deduplication_window_seconds = 604800
comment 'One row per post and hour, after sum().';

create materialized view if not exists raw.post_metrics_1h_mv ${on_cluster}
to raw.post_metrics_1h
as
select
    item_id as post_id,
    author_id,
    toStartOfHour(event_time) as hour,
    countIf(action = 'impression') as exposures,
    countIf(action = 'view') as views,
    toInt64(countIf(action = 'like')) - toInt64(countIf(action = 'unlike')) as likes,
    toInt64(countIf(action = 'comment')) - toInt64(countIf(action = 'uncomment')) as comments,
    countIf(action = 'share') as shares,
    sum(toUInt64(dwell_ms)) as dwell_ms_sum
from raw.events
where
    item_type = 'post'
    and (
        action in ('impression', 'view', 'like', 'unlike', 'comment', 'uncomment', 'share')
        or dwell_ms > 0
    )
group by
    post_id,
    author_id,
    hour;
