-- Counters of a post over its whole life, as Postgres counts them. Hourly series: 0013.
create table if not exists raw.post_engagement ${on_cluster} (
    post_id UInt64 comment 'Post being counted; key',
    exposures UInt64 comment 'Times it was shown (count)',
    views UInt64 comment 'Times it was opened (count)',
    likes UInt64 comment 'Likes that stand (count)',
    shares UInt64 comment 'Shares (count)',
    comments UInt64 comment 'Comments that stand (count)',
    dwell_ms UInt64 comment 'Time spent on it (milliseconds)',
    deleted Bool comment 'True when deleted; the row stays so that older versions lose',
    _txid UInt64 comment 'Postgres transaction that wrote this version; the change-capture cursor',
    _version UInt64 comment 'Grows with every write of one row; FINAL keeps the largest',
    landed_at DateTime64(3, 'UTC') default now64(3) comment 'When it was stored here (UTC)'
)
engine = ${replicated}ReplacingMergeTree(_version)
order by post_id
ttl toDateTime(landed_at) + interval 365 day delete
where deleted
settings -- noqa: PRS
    index_granularity = 256,
    min_age_to_force_merge_seconds = 604800
comment 'One row per post and version of its counters. Read post_engagement_current.';

create view if not exists raw.post_engagement_current ${on_cluster} (
    post_id UInt64 comment 'Post being counted; key',
    exposures UInt64 comment 'Times it was shown (count)',
    views UInt64 comment 'Times it was opened (count)',
    likes UInt64 comment 'Likes that stand (count)',
    shares UInt64 comment 'Shares (count)',
    comments UInt64 comment 'Comments that stand (count)',
    dwell_ms UInt64 comment 'Time spent on it (milliseconds)',
    _version UInt64 comment 'Grows with every write of one row; FINAL keeps the largest',
    landed_at DateTime64(3, 'UTC') comment 'When it was stored here (UTC)'
)
as
select
    post_id,
    exposures,
    views,
    likes,
    shares,
    comments,
    dwell_ms,
    _version,
    landed_at
from raw.post_engagement final
where not deleted
comment 'One row per post with its counters over all time.';
