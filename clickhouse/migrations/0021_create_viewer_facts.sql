-- What is known of a viewer, one list after the other: all a ranking asks of them is one short read.
-- A list names what `id` is:
--   followee         a creator the viewer follows
--   blocked          a creator the viewer blocked
--   blocked_by       a creator who blocked the viewer
--   not_interested   a video the viewer asked not to see
--   seen_video       a video the viewer saw, and when last
--   reacted_creator  a creator whose items the viewer reacted to, a row per day
--
-- Read with max(), sum() and group by: parts merge late. Views write it from the tables that own
-- each fact, so it lands with them; a relation that ended stays, with `stands` even.
create table if not exists raw.viewer_facts ${on_cluster} ( -- noqa: PRS
    viewer_id UInt64 comment 'Viewer',
    list LowCardinality(String) comment 'Which list of the viewer; names what id is',
    id UInt64 comment 'Creator or video on the list',
    day Date comment 'Day of the reactions (UTC); 1970-01-01 on lists without days',
    stands SimpleAggregateFunction(
        max, UInt64
    ) comment 'Twice the version of a relation, plus 1 while it stands; max(), odd: it stands',
    seen_at SimpleAggregateFunction(max, DateTime('UTC')) comment 'When seen last (UTC); max()',
    likes SimpleAggregateFunction(sum, Int64) comment 'Likes minus likes taken back (count); sum()',
    comments SimpleAggregateFunction(
        sum, Int64
    ) comment 'Comments minus comments taken back (count); sum()'
)
engine = ${replicated}AggregatingMergeTree
order by (viewer_id, list, id, day)
ttl seen_at + interval 30 day delete where list = 'seen_video',
day + interval 120 day delete where list = 'reacted_creator'
settings
    index_granularity = 256,
    min_bytes_for_wide_part = 1099511627776,
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
    max(2 * _version + toUInt64(not deleted)) as stands
from raw.follows
group by
    viewer_id,
    id;

create materialized view if not exists raw.viewer_facts_blocks_mv ${on_cluster}
to raw.viewer_facts
as
select
    end.1 as viewer_id,
    end.2 as list,
    end.3 as id,
    max(2 * _version + toUInt64(not deleted)) as stands
from raw.blocks
array join [(blocker_id, 'blocked', blocked_id), (blocked_id, 'blocked_by', blocker_id)] as end
group by
    viewer_id,
    list,
    id;

create materialized view if not exists raw.viewer_facts_not_interested_mv ${on_cluster}
to raw.viewer_facts
as
select
    user_id as viewer_id,
    'not_interested' as list,
    video_id as id,
    max(2 * _version + toUInt64(not deleted)) as stands
from raw.not_interested
group by
    viewer_id,
    id;

create materialized view if not exists raw.viewer_facts_events_mv ${on_cluster}
to raw.viewer_facts
as
select
    user_id as viewer_id,
    fact.1 as list,
    fact.2 as id,
    fact.3 as day,
    maxIf(event_time, action = 'view') as seen_at,
    toInt64(countIf(action = 'like')) - toInt64(countIf(action = 'unlike')) as likes,
    toInt64(countIf(action = 'comment')) - toInt64(countIf(action = 'uncomment')) as comments
from raw.events
array join
    [
        if(
            action = 'view',
            ('seen_video', item_id, toDate(0)),
            ('reacted_creator', author_id, toDate(event_time))
        )
    ] as fact
where
    (action = 'view' and item_type = 'video')
    or (action in ('like', 'unlike', 'comment', 'uncomment') and author_id != 0)
group by
    viewer_id,
    list,
    id,
    day;

-- What landed before the views were there; a second run adds nothing. Nothing may land meanwhile
-- (`./nova up` starts the landing worker after this).
insert into raw.viewer_facts (
    viewer_id,
    list,
    id,
    stands
)
select
    follower_id as viewer_id,
    'followee' as list,
    followee_id as id,
    max(2 * _version + toUInt64(not deleted)) as stands
from raw.follows
group by
    viewer_id,
    id
union all
select
    blocker_id as viewer_id,
    'blocked' as list,
    blocked_id as id,
    max(2 * _version + toUInt64(not deleted)) as stands
from raw.blocks
group by
    viewer_id,
    id
union all
select
    blocked_id as viewer_id,
    'blocked_by' as list,
    blocker_id as id,
    max(2 * _version + toUInt64(not deleted)) as stands
from raw.blocks
group by
    viewer_id,
    id
union all
select
    user_id as viewer_id,
    'not_interested' as list,
    video_id as id,
    max(2 * _version + toUInt64(not deleted)) as stands
from raw.not_interested
group by
    viewer_id,
    id
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
    max(watched_at) as seen_at
from raw.user_watch_history
where item_type = 'video'
group by
    viewer_id,
    id
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
