-- One row per video of a range of ids and hour in which it was played: the counters that have
-- landed, cut into equal parts, exactly. Most parts are of the video's first days. What two twins
-- share is drawn alike.
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
with

played as (

    select
        videos.video_id as video_id,
        toStartOfHour(videos.published_at) as first_hour,
        toUInt64(
            dateDiff('hour', first_hour, {played_until:DateTime('UTC')})
        ) as hours,
        -- A video of 30 plays has ten such rows, one of 10,000 a hundred.
        least(totals.views, hours, 4 + toUInt64(sqrt(totals.views))) as parts,
        cityHash64({seed:UInt64}, videos.published_at, totals.views) as twins_key,
        totals.views as views,
        totals.completions as completions,
        totals.watch_ms as watch_ms,
        totals.likes as likes,
        totals.shares as shares,
        totals.comments as comments

    from raw.video_engagement_current as totals
    inner join raw.videos_current as videos on totals.video_id = videos.video_id
    where
        totals.video_id >= {from_id:UInt64}
        and totals.video_id < {to_id:UInt64}
        and videos.video_id >= {from_id:UInt64}
        and videos.video_id < {to_id:UInt64}

),

cut as (

    select
        video_id,
        first_hour,
        hours,
        parts,
        views,
        completions,
        watch_ms,
        likes,
        shares,
        comments,
        arrayJoin(range(parts)) as part,
        bitShiftRight(cityHash64(twins_key, part), 11) / 9007199254740992 as draw

    from played

)

select
    video_id,
    first_hour + toIntervalHour(toUInt32(floor(hours * pow((part + draw) / parts, 2)))) as hour,
    intDiv(3 * views * (part + 1), 2 * parts) - intDiv(3 * views * part, 2 * parts) as impressions,
    intDiv(views * (part + 1), parts) - intDiv(views * part, parts) as views,
    completions / parts as completions,
    views as known_completions,
    intDiv(watch_ms * (part + 1), parts) - intDiv(watch_ms * part, parts) as watch_ms,
    intDiv(likes * (part + 1), parts) - intDiv(likes * part, parts) as likes,
    intDiv(shares * (part + 1), parts) - intDiv(shares * part, parts) as shares,
    intDiv(comments * (part + 1), parts) - intDiv(comments * part, parts) as comments,
    0 as not_interested
from cut
