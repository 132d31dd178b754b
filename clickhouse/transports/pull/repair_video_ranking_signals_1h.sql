-- After a crash: adds what the rollup lacks against a recount of events; nothing if it is right.
-- The recount is the insert view's own (migration 0012); a test keeps them the same.
insert into raw.video_ranking_signals_1h (
    video_id,
    hour,
    impressions,
    views,
    completions,
    known_completions,
    watch_ms,
    likes,
    shares,
    comments,
    not_interested
)
select
    video_id,
    hour,
    sum(impressions) as impressions,
    sum(views) as views,
    sum(completions) as completions,
    sum(known_completions) as known_completions,
    sum(watch_ms) as watch_ms,
    sum(likes) as likes,
    sum(shares) as shares,
    sum(comments) as comments,
    sum(not_interested) as not_interested
from (
    select
        item_id as video_id,
        toStartOfHour(event_time) as hour,
        toInt64(countIf(action = 'impression')) as impressions,
        toInt64(countIf(action = 'view')) as views,
        sumIf(least(toFloat64(completion), 1), action = 'view' and completion >= 0) as completions,
        toInt64(countIf(action = 'view' and completion >= 0)) as known_completions,
        toInt64(sumIf(toUInt64(watch_ms), action = 'view')) as watch_ms,
        toInt64(countIf(action = 'like')) - toInt64(countIf(action = 'unlike')) as likes,
        toInt64(countIf(action = 'share')) as shares,
        toInt64(countIf(action = 'comment')) - toInt64(countIf(action = 'uncomment')) as comments,
        toInt64(countIf(action = 'not_interested')) as not_interested
    from raw.events
    where item_type = 'video' and event_time >= {since:DateTime('UTC')} -- noqa: PRS
    group by
        video_id,
        hour
    union all
    select
        video_id,
        hour,
        -toInt64(impressions) as impressions,
        -toInt64(views) as views,
        -completions as completions,
        -toInt64(known_completions) as known_completions,
        -toInt64(watch_ms) as watch_ms,
        -likes as likes,
        -toInt64(shares) as shares,
        -comments as comments,
        -toInt64(not_interested) as not_interested
    from raw.video_ranking_signals_1h
    where hour >= {since:DateTime('UTC')} -- noqa: PRS
) as counted
group by
    video_id,
    hour
having
    impressions != 0
    or views != 0
    or abs(completions) > 0.000001
    or known_completions != 0
    or watch_ms != 0
    or likes != 0
    or shares != 0
    or comments != 0
    or not_interested != 0
