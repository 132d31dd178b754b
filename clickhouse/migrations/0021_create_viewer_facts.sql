-- What is known of a viewer, one list after the other: all a ranking asks is one short read.
-- A list names what `id` is:
--   followee         a creator the viewer follows
--   blocked          a creator the viewer blocked
--   blocked_by       a creator who blocked the viewer
--   not_interested   a video the viewer asked not to see
--   seen_video       a video the viewer saw, and when last
--   reacted_creator  a creator whose items the viewer reacted to, a row per day
--
-- Read with max(), sum() and group by: parts merge late. Views write it from the tables that own
-- each fact, so it lands with them. A relation that ended stays for a year, with `stands` even, so
-- that an older version of it loses; by then no part holds one (parts a week old are merged).
--
-- One time to live for all lists: of several with conditions, none would start a merge by itself.
create table if not exists raw.viewer_facts ${on_cluster} ( -- noqa: PRS
    viewer_id UInt64 comment 'Viewer',
    list LowCardinality(String) comment 'Which list of the viewer; names what id is',
    id UInt64 comment 'Creator or video on the list',
    day Date comment 'Day of the reactions (UTC); 1970-01-01 on lists without days',
    stands SimpleAggregateFunction(
        max, UInt64
    ) comment 'Twice the version of a relation, plus 1 while it stands; max(), odd: it stands',
    ended_at SimpleAggregateFunction(
        max, DateTime('UTC')
    ) comment 'When the last end of a relation landed (UTC), 1970-01-01: never ended; max()',
    seen_at SimpleAggregateFunction(max, DateTime('UTC')) comment 'When seen last (UTC); max()',
    likes SimpleAggregateFunction(sum, Int64) comment 'Likes minus likes taken back (count); sum()',
    comments SimpleAggregateFunction(
        sum, Int64
    ) comment 'Comments minus comments taken back (count); sum()'
)
engine = ${replicated}AggregatingMergeTree
order by (viewer_id, list, id, day)
ttl multiIf(
    list = 'seen_video', seen_at + interval 30 day,
    list = 'reacted_creator', toDateTime(day, 'UTC') + interval 120 day,
    stands % 2 = 0, ended_at + interval 365 day,
    toDateTime('2106-01-01 00:00:00', 'UTC')
)
settings
    index_granularity = 256,
    min_bytes_for_wide_part = 1099511627776,
    min_age_to_force_merge_seconds = 604800,
    merge_with_ttl_timeout = 86400,
    non_replicated_deduplication_window = 10000,
    replicated_deduplication_window = 10000,
    replicated_deduplication_window_seconds = 604800
comment 'One row per viewer, list, id and day, after max() and sum().';

create materialized view if not exists raw.viewer_facts_follows_mv ${on_cluster}
to raw.viewer_facts
as
select
    follower_id as viewer_id,
    'followee' as list,
    followee_id as id,
    2 * _version + toUInt64(not deleted) as stands,
    if(deleted, toDateTime(landed_at), toDateTime(0, 'UTC')) as ended_at
from raw.follows;

create materialized view if not exists raw.viewer_facts_blocks_mv ${on_cluster}
to raw.viewer_facts
as
select
    end.1 as viewer_id,
    end.2 as list,
    end.3 as id,
    2 * _version + toUInt64(not deleted) as stands,
    if(deleted, toDateTime(landed_at), toDateTime(0, 'UTC')) as ended_at
from raw.blocks
array join [(blocker_id, 'blocked', blocked_id), (blocked_id, 'blocked_by', blocker_id)] as end;

create materialized view if not exists raw.viewer_facts_not_interested_mv ${on_cluster}
to raw.viewer_facts
as
select
    user_id as viewer_id,
    'not_interested' as list,
    video_id as id,
    2 * _version + toUInt64(not deleted) as stands,
    if(deleted, toDateTime(landed_at), toDateTime(0, 'UTC')) as ended_at
from raw.not_interested;

create materialized view if not exists raw.viewer_facts_events_mv ${on_cluster}
to raw.viewer_facts
as
select
    user_id as viewer_id,
    if(action = 'view', 'seen_video', 'reacted_creator') as list,
    if(action = 'view', item_id, author_id) as id,
    if(action = 'view', toDate(0), toDate(event_time)) as day,
    maxIf(event_time, action = 'view') as seen_at,
    toInt64(countIf(action = 'like')) - toInt64(countIf(action = 'unlike')) as likes,
    toInt64(countIf(action = 'comment')) - toInt64(countIf(action = 'uncomment')) as comments
from raw.events
where
    (action = 'view' and item_type = 'video')
    or (action in ('like', 'unlike', 'comment', 'uncomment') and author_id != 0)
group by
    viewer_id,
    list,
    id,
    day;

-- What landed before the views were there; a second run changes nothing. Nothing may land meanwhile
-- (`./nova up` starts the landing worker after this).
insert into raw.viewer_facts (
    viewer_id,
    list,
    id,
    stands,
    ended_at
)
select
    follower_id as viewer_id,
    'followee' as list,
    followee_id as id,
    2 * _version + toUInt64(not deleted) as stands,
    if(deleted, toDateTime(landed_at), toDateTime(0, 'UTC')) as ended_at
from raw.follows
union all
select
    end.1 as viewer_id,
    end.2 as list,
    end.3 as id,
    2 * _version + toUInt64(not deleted) as stands,
    if(deleted, toDateTime(landed_at), toDateTime(0, 'UTC')) as ended_at
from raw.blocks
array join [(blocker_id, 'blocked', blocked_id), (blocked_id, 'blocked_by', blocker_id)] as end
union all
select
    user_id as viewer_id,
    'not_interested' as list,
    video_id as id,
    2 * _version + toUInt64(not deleted) as stands,
    if(deleted, toDateTime(landed_at), toDateTime(0, 'UTC')) as ended_at
from raw.not_interested
settings deduplicate_insert_select = 'disable';

insert into raw.viewer_facts (
    viewer_id,
    list,
    id,
    seen_at
)
select
    user_id as viewer_id,
    'seen_video' as list,
    item_id as id,
    watched_at as seen_at
from raw.user_watch_history
where item_type = 'video'
settings deduplicate_insert_select = 'disable';

insert into raw.viewer_facts (
    viewer_id,
    list,
    id,
    day,
    likes,
    comments
)
select
    viewer_id,
    'reacted_creator' as list,
    id,
    day,
    sum(likes) as likes,
    sum(comments) as comments
from (
    select
        user_id as viewer_id,
        author_id as id,
        day,
        likes,
        comments
    from raw.user_author_90d
    union all
    select
        viewer_id,
        id,
        day,
        -likes as likes,
        -comments as comments
    from raw.viewer_facts
    where list = 'reacted_creator'
) as counted
group by
    viewer_id,
    id,
    day
having
    likes != 0
    or comments != 0
settings deduplicate_insert_select = 'disable';
