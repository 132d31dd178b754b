-- Counters of a video over its whole life, as Postgres counts them. Hourly series: 0012.
create table if not exists raw.video_engagement ${on_cluster} (
    video_id UInt64 comment 'Video being counted; key',
    views UInt64 comment 'Playbacks (count)',
    completions Float64 comment 'Watched parts, each clipped to 0..1, added up (count)',
    watch_ms UInt64 comment 'Time watched (milliseconds)',
    likes UInt64 comment 'Likes that stand (count)',
    shares UInt64 comment 'Shares (count)',
    comments UInt64 comment 'Comments that stand (count)',
    deleted Bool comment 'True when deleted; the row stays so that older versions lose',
    _txid UInt64 comment 'Postgres transaction that wrote this version; the change-capture cursor',
    _version UInt64 comment 'Grows with every write of one row; FINAL keeps the largest',
    landed_at DateTime64(3, 'UTC') default now64(3) comment 'When it was stored here (UTC)'
)
engine = ${replicated}ReplacingMergeTree(_version)
order by video_id
ttl toDateTime(landed_at) + interval 365 day delete
where deleted
settings -- noqa: PRS
    index_granularity = 256,
    min_age_to_force_merge_seconds = 604800
comment 'One row per video and version of its counters. Read video_engagement_current.';

create view if not exists raw.video_engagement_current ${on_cluster} (
    video_id UInt64 comment 'Video being counted; key',
    views UInt64 comment 'Playbacks (count)',
    completions Float64 comment 'Watched parts, each clipped to 0..1, added up (count)',
    watch_ms UInt64 comment 'Time watched (milliseconds)',
    likes UInt64 comment 'Likes that stand (count)',
    shares UInt64 comment 'Shares (count)',
    comments UInt64 comment 'Comments that stand (count)',
    _version UInt64 comment 'Grows with every write of one row; FINAL keeps the largest',
    landed_at DateTime64(3, 'UTC') comment 'When it was stored here (UTC)'
)
as
select
    video_id,
    views,
    completions,
    watch_ms,
    likes,
    shares,
    comments,
    _version,
    landed_at
from raw.video_engagement final
where not deleted
comment 'One row per video with its counters over all time.';
