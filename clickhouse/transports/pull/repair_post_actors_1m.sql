-- After a crash: adds what the rollup lacks against a recount of events; nothing if it is right.
-- The recount is the insert view's own (migration 0017); a test keeps them the same.
--
-- Of the window's own rows only: nearly every reaction is a row here, and a recount of all the days
-- a window touches would be one of all there is.
insert into raw.post_actors_1m (
    at_minute,
    post_id,
    user_id,
    likes,
    comments,
    shares
)
with

touched as (

    select
        toStartOfMinute(events.event_time) as at_minute,
        events.item_id as post_id,
        events.user_id
    from raw.events as events
    where
        events._txid > {from_txid:UInt64} -- noqa: PRS, LT02
        and events._txid <= {to_txid:UInt64}
        and events.item_type = 'post'
        and events.action in ('like', 'unlike', 'comment', 'uncomment', 'share')
        and events.event_time >= {since:DateTime('UTC')}

),

counted as (

    select
        toStartOfMinute(event_time) as at_minute,
        item_id as post_id,
        user_id,
        toInt64(countIf(action = 'like')) - toInt64(countIf(action = 'unlike')) as likes,
        toInt64(countIf(action = 'comment')) - toInt64(countIf(action = 'uncomment')) as comments,
        toInt64(countIf(action = 'share')) as shares
    from raw.events
    where
        item_type = 'post'
        and action in ('like', 'unlike', 'comment', 'uncomment', 'share')
        and event_time >= {since:DateTime('UTC')}
        and (toStartOfMinute(event_time), item_id, user_id) in (
            select
                touched.at_minute,
                touched.post_id,
                touched.user_id
            from touched
        )
    group by
        at_minute,
        post_id,
        user_id

    union all

    select
        at_minute,
        post_id,
        user_id,
        -toInt64(likes) as likes,
        -toInt64(comments) as comments,
        -toInt64(shares) as shares
    from raw.post_actors_1m
    where
        at_minute >= {since:DateTime('UTC')}
        and (at_minute, post_id, user_id) in (
            select
                touched.at_minute,
                touched.post_id,
                touched.user_id
            from touched
        )

)

select
    counted.at_minute,
    counted.post_id,
    counted.user_id,
    sum(counted.likes) as missing_likes,
    sum(counted.comments) as missing_comments,
    sum(counted.shares) as missing_shares
from counted
group by
    counted.at_minute,
    counted.post_id,
    counted.user_id
having
    missing_likes != 0
    or missing_comments != 0
    or missing_shares != 0
