-- Who reacted to a post in a minute: what the posts' charts count accounts from. A row per account,
-- so that one account is one, however often it acts and in however many minutes of a window. The
-- rules of 0012 hold for reading: sum() and group by.
--
-- Minutes, because an hour that may be two is no hour. It costs next to nothing: most accounts
-- react to a post once. They lead the key, for a chart reads a time, never a post. Rows live as
-- long as events, so they can be counted anew.
create table if not exists raw.post_actors_1m ${on_cluster} (
    at_minute DateTime('UTC') comment 'Start of the minute (UTC)',
    post_id UInt64 comment 'Post that was reacted to',
    user_id UInt64 comment 'Who reacted',
    likes Int32 comment 'Likes minus likes taken back (count)',
    comments Int32 comment 'Comments minus comments taken back (count)',
    shares Int32 comment 'Shares (count)'
)
engine = ${replicated}SummingMergeTree
partition by toYYYYMM(at_minute)
order by (at_minute, post_id, user_id)
ttl at_minute + interval 30 day
settings -- noqa: PRS
    index_granularity = 8192,
    non_replicated_deduplication_window = 10000,
    replicated_deduplication_window = 10000,
    replicated_deduplication_window_seconds = 604800
comment 'One row per minute, post and account, after sum().';

create materialized view if not exists raw.post_actors_1m_mv ${on_cluster}
to raw.post_actors_1m
as
select
    toStartOfMinute(event_time) as at_minute,
    item_id as post_id,
    user_id,
    toInt32(countIf(action = 'like')) - toInt32(countIf(action = 'unlike')) as likes,
    toInt32(countIf(action = 'comment')) - toInt32(countIf(action = 'uncomment')) as comments,
    toInt32(countIf(action = 'share')) as shares
from raw.events
where
    item_type = 'post'
    and action in ('like', 'unlike', 'comment', 'uncomment', 'share')
group by
    at_minute,
    post_id,
    user_id;

-- The events there are, less what the view has counted: what is right stays, also on a second run.
-- Nothing may land meanwhile (`./nova up` starts the landing worker after this). As far back as a
-- repair looks, for the same reason: older events may be gone and still be counted here.
insert into raw.post_actors_1m (
    at_minute,
    post_id,
    user_id,
    likes,
    comments,
    shares
)
select
    at_minute,
    post_id,
    user_id,
    sum(likes) as likes,
    sum(comments) as comments,
    sum(shares) as shares
from (
    select
        toStartOfMinute(event_time) as at_minute,
        item_id as post_id,
        user_id,
        toInt32(countIf(action = 'like')) - toInt32(countIf(action = 'unlike')) as likes,
        toInt32(countIf(action = 'comment')) - toInt32(countIf(action = 'uncomment')) as comments,
        toInt32(countIf(action = 'share')) as shares
    from raw.events
    where
        item_type = 'post'
        and action in ('like', 'unlike', 'comment', 'uncomment', 'share')
        and event_time >= toStartOfDay(now('UTC')) - interval 29 day
    group by
        at_minute,
        post_id,
        user_id
    union all
    select
        at_minute,
        post_id,
        user_id,
        -likes as likes,
        -comments as comments,
        -shares as shares
    from raw.post_actors_1m
    where at_minute >= toStartOfDay(now('UTC')) - interval 29 day
) as counted
group by
    at_minute,
    post_id,
    user_id
having
    likes != 0
    or comments != 0
    or shares != 0
settings
    deduplicate_insert_select = 'disable',
    max_partitions_per_insert_block = 0;
