-- After a crash: adds what the rollup lacks against a recount of events; nothing if it is right.
-- The recount is the insert view's own (migration 0014); a test keeps them the same.
insert into raw.user_author_90d (
    user_id,
    author_id,
    day,
    likes,
    comments,
    views,
    shares
)
select
    user_id,
    author_id,
    day,
    sum(likes) as likes,
    sum(comments) as comments,
    sum(views) as views,
    sum(shares) as shares
from (
    select
        user_id,
        author_id,
        toDate(event_time) as day,
        toInt64(countIf(action = 'like')) - toInt64(countIf(action = 'unlike')) as likes,
        toInt64(countIf(action = 'comment')) - toInt64(countIf(action = 'uncomment')) as comments,
        toInt64(countIf(action = 'view')) as views,
        toInt64(countIf(action = 'share')) as shares
    from raw.events
    where author_id != 0 and event_time >= {since:DateTime('UTC')} -- noqa: PRS
    group by
        user_id,
        author_id,
        day
    union all
    select
        user_id,
        author_id,
        day,
        -likes as likes,
        -comments as comments,
        -toInt64(views) as views,
        -toInt64(shares) as shares
    from raw.user_author_90d
    where day >= toDate({since:DateTime('UTC')}) -- noqa: PRS, CP02
) as counted
group by
    user_id,
    author_id,
    day
having
    likes != 0
    or comments != 0
    or views != 0
    or shares != 0
