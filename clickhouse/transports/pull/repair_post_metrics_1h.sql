-- After a crash: adds what the rollup lacks against a recount of events; nothing if it is right.
-- The recount is the insert view's own (migration 0013); a test keeps them the same.
insert into raw.post_metrics_1h (
    post_id,
    author_id,
    hour,
    exposures,
    views,
    likes,
    comments,
    shares,
    dwell_ms_sum
)
select
    post_id,
    author_id,
    hour,
    sum(exposures) as exposures,
    sum(views) as views,
    sum(likes) as likes,
    sum(comments) as comments,
    sum(shares) as shares,
    sum(dwell_ms_sum) as dwell_ms_sum
from (
    select
        item_id as post_id,
        author_id,
        toStartOfHour(event_time) as hour,
        toInt64(countIf(action = 'impression')) as exposures,
        toInt64(countIf(action = 'view')) as views,
        toInt64(countIf(action = 'like')) - toInt64(countIf(action = 'unlike')) as likes,
        toInt64(countIf(action = 'comment')) - toInt64(countIf(action = 'uncomment')) as comments,
        toInt64(countIf(action = 'share')) as shares,
        toInt64(sum(toUInt64(dwell_ms))) as dwell_ms_sum
    from raw.events
    where item_type = 'post' and event_time >= {since:DateTime('UTC')} -- noqa: PRS
    group by
        post_id,
        author_id,
        hour
    union all
    select
        post_id,
        author_id,
        hour,
        -toInt64(exposures) as exposures,
        -toInt64(views) as views,
        -likes as likes,
        -comments as comments,
        -toInt64(shares) as shares,
        -toInt64(dwell_ms_sum) as dwell_ms_sum
    from raw.post_metrics_1h
    where hour >= {since:DateTime('UTC')} -- noqa: PRS
) as counted
group by
    post_id,
    author_id,
    hour
having
    exposures != 0
    or views != 0
    or likes != 0
    or comments != 0
    or shares != 0
    or dwell_ms_sum != 0
