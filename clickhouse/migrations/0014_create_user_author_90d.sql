-- What a viewer did with an author's items on a day: the source of affinity. The name says the 90
-- days affinity looks back; rows live 120, so that a look back never meets the edge. The rules of
-- 0012 hold: sum(), and never drop.
create table if not exists raw.user_author_90d ${on_cluster} (
    user_id UInt64 comment 'Viewer',
    author_id UInt64 comment 'Who made the items',
    day Date comment 'Day of the actions (UTC)',
    likes Int64 comment 'Likes minus likes taken back (count)',
    comments Int64 comment 'Comments minus comments taken back (count)',
    views UInt64 comment 'Items played or opened (count)',
    shares UInt64 comment 'Shares (count)'
)
engine = ${replicated}SummingMergeTree
partition by toYYYYMM(day)
order by (user_id, author_id, day)
ttl day + interval 120 day
settings -- noqa: PRS
    index_granularity = 256,
    non_replicated_deduplication_window = 10000,
    replicated_deduplication_window = 10000,
    replicated_deduplication_window_seconds = 604800
comment 'One row per viewer, author and day, after sum().';

create materialized view if not exists raw.user_author_90d_mv ${on_cluster}
to raw.user_author_90d
as
select
    user_id,
    author_id,
    toDate(event_time) as day,
    toInt64(countIf(action = 'like')) - toInt64(countIf(action = 'unlike')) as likes,
    toInt64(countIf(action = 'comment')) - toInt64(countIf(action = 'uncomment')) as comments,
    countIf(action = 'view') as views,
    countIf(action = 'share') as shares
from raw.events
where
    author_id != 0
    and action in ('like', 'unlike', 'comment', 'uncomment', 'view', 'share')
group by
    user_id,
    author_id,
    day;
