-- What a video earned in an hour. Lives 90 days, three times as long as the events it is counted
-- from: it can never be rebuilt. To change it: a new target and view from an instant on, a
-- backfill before it, then switch readers; never drop and create again.
--
-- A row may be spread over parts until a merge: always sum() and group by. An hour's likes may be
-- negative, when likes of earlier hours were taken back.
create table if not exists raw.video_ranking_signals_1h ${on_cluster} (
    video_id UInt64 comment 'Video being counted',
    hour DateTime('UTC') comment 'Start of the hour (UTC)',
    impressions UInt64 comment 'Times it was shown in a feed (count)',
    views UInt64 comment 'Playbacks (count)',
    completions Float64 comment 'Parts played, each clipped to 0..1, unknown as 0 (count)',
    known_completions UInt64 comment 'Playbacks whose completion is known (count)',
    watch_ms UInt64 comment 'Time played (milliseconds)',
    likes Int64 comment 'Likes minus likes taken back (count)',
    shares UInt64 comment 'Shares (count)',
    comments Int64 comment 'Comments minus comments taken back (count)',
    not_interested UInt64 comment 'Viewers who asked not to see it again (count)'
)
engine = ${replicated}SummingMergeTree
partition by toYYYYMM(hour)
order by (video_id, hour)
ttl hour + interval 90 day
settings -- noqa: PRS
    index_granularity = 512,
    non_replicated_deduplication_window = 10000,
    replicated_deduplication_window = 10000,
    replicated_deduplication_window_seconds = 604800
comment 'One row per video and hour, after sum().';

create materialized view if not exists raw.video_ranking_signals_1h_mv ${on_cluster}
to raw.video_ranking_signals_1h
as
select
    item_id as video_id,
    toStartOfHour(event_time) as hour,
    countIf(action = 'impression') as impressions,
    countIf(action = 'view') as views,
    sumIf(least(toFloat64(completion), 1), action = 'view' and completion >= 0) as completions,
    countIf(action = 'view' and completion >= 0) as known_completions,
    sumIf(toUInt64(watch_ms), action = 'view') as watch_ms,
    toInt64(countIf(action = 'like')) - toInt64(countIf(action = 'unlike')) as likes,
    countIf(action = 'share') as shares,
    toInt64(countIf(action = 'comment')) - toInt64(countIf(action = 'uncomment')) as comments,
    countIf(action = 'not_interested') as not_interested
from raw.events
where
    item_type = 'video'
    and action in (
        'impression', 'view', 'like', 'unlike', 'share', 'comment', 'uncomment', 'not_interested'
    )
group by
    video_id,
    hour;
