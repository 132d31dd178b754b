-- Which videos' hours have changed, and when: so that only those are counted anew. Whatever writes
-- into the rollup marks, a late event as well as a repair.
--
-- Without a deduplication window, unlike what counts: a repeated block may be what completes a
-- video's hours, and must mark it at the time of the repeat. The time is that of the block, not of
-- the statement, which may run for minutes.
create table if not exists raw.video_changes_1m ${on_cluster} (
    at_minute DateTime('UTC') comment 'Start of the minute in which it was written (UTC)',
    video_id UInt64 comment 'Video whose hours changed'
)
engine = ${replicated}ReplacingMergeTree
partition by toStartOfHour(at_minute)
order by (at_minute, video_id)
ttl at_minute + interval 2 hour
settings -- noqa: PRS
    index_granularity = 8192,
    ttl_only_drop_parts = 1
comment 'At least one row per minute and video with a changed hour.';

create materialized view if not exists raw.video_changes_1m_mv ${on_cluster}
to raw.video_changes_1m
as
select
    toStartOfMinute(nowInBlock('UTC')) as at_minute,
    video_id
from raw.video_ranking_signals_1h
group by
    at_minute,
    video_id;
