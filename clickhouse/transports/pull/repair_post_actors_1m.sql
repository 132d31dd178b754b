-- After a crash: adds what the rollup lacks against a recount of events; nothing if it is right.
-- The recount is the insert view's own (migration 0017); a test keeps them the same.
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
        toInt64(countIf(action = 'like')) - toInt64(countIf(action = 'unlike')) as likes,
        toInt64(countIf(action = 'comment')) - toInt64(countIf(action = 'uncomment')) as comments,
        toInt64(countIf(action = 'share')) as shares
    from raw.events
    where
        item_type = 'post'
        and action in ('like', 'unlike', 'comment', 'uncomment', 'share')
        and event_time >= {since:DateTime('UTC')} -- noqa: PRS
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
    where at_minute >= {since:DateTime('UTC')} -- noqa: PRS
) as counted
group by
    at_minute,
    post_id,
    user_id
having
    likes != 0
    or comments != 0
    or shares != 0
