-- After a crash: adds what the lists of the window's viewers lack against the rollups they repeat
-- (both already right), nothing if they are right. Relations land anew with each repeat.
insert into raw.viewer_facts (
    viewer_id,
    list,
    id,
    day,
    seen_at,
    likes,
    comments
)
with

viewers as (

    select events.user_id
    from raw.events as events
    where
        events._txid > {from_txid:UInt64} -- noqa: PRS, LT02
        and events._txid <= {to_txid:UInt64}

),

counted as (

    select
        user_id as viewer_id,
        'seen_video' as list,
        item_id as id,
        toDate(0) as day,
        watched_at as known_at,
        toDateTime(0, 'UTC') as listed_at,
        toInt64(0) as missing_likes,
        toInt64(0) as missing_comments
    from raw.user_watch_history
    where
        item_type = 'video'
        and user_id in (select viewers.user_id from viewers)

    union all

    select
        user_id as viewer_id,
        'reacted_creator' as list,
        author_id as id,
        day,
        toDateTime(0, 'UTC') as known_at,
        toDateTime(0, 'UTC') as listed_at,
        likes as missing_likes,
        comments as missing_comments
    from raw.user_author_90d
    where user_id in (select viewers.user_id from viewers)

    union all

    select
        viewer_id,
        list,
        id,
        day,
        toDateTime(0, 'UTC') as known_at,
        seen_at as listed_at,
        -likes as missing_likes,
        -comments as missing_comments
    from raw.viewer_facts
    where
        viewer_id in (select viewers.user_id from viewers)
        and list in ('seen_video', 'reacted_creator')

)

select
    counted.viewer_id,
    counted.list,
    counted.id,
    counted.day,
    max(counted.known_at) as newest_at,
    sum(counted.missing_likes) as likes_missing,
    sum(counted.missing_comments) as comments_missing
from counted
group by
    counted.viewer_id,
    counted.list,
    counted.id,
    counted.day
having
    newest_at > max(counted.listed_at)
    or likes_missing != 0
    or comments_missing != 0
