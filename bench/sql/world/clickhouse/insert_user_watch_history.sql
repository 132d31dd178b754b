-- One row per viewer of a range of ids and video they have played within 30 days: some of what
-- those they follow have just published, some of what everybody plays today, so that much of what
-- would be a candidate has been seen, and some of everything, in proportion to its popularity.
insert into raw.user_watch_history (
    user_id,
    item_type,
    item_id,
    watched_at,
    watches
)
with

-- From 0 to 1, always the same one for the same purpose and ids.
(purpose, id_1, id_2)
-> bitShiftRight(cityHash64({seed:UInt64}, purpose, id_1, id_2), 11) / 9007199254740992 as draw,

viewers as (

    select
        follower_id as viewer_id,
        groupArray(followee_id) as followees,
        count() / {follows_per_viewer:Float64} as activity

    from raw.follows_current
    where
        follower_id >= {from_id:UInt64}
        and follower_id < {to_id:UInt64}
    group by follower_id

),

videos as (

    select
        video_id,
        creator_id,
        toDateTime(published_at) as published_at

    from raw.videos_current
    where status = 'published'

),

-- The most played of the last day, most played first.
charted as (

    select groupArray(video_id) as video_ids
    from (
        select video_id
        from raw.video_ranking_signals_1h
        where hour >= {as_of:DateTime64(3, 'UTC')} - toIntervalHour(24)
        group by video_id
        order by
            sum(views) desc,
            video_id
        limit 1000
    ) as played

),

of_followees as (

    select
        follows.viewer_id as viewer_id,
        videos.video_id as video_id

    from (
        select
            viewer_id,
            activity,
            arrayJoin(followees) as creator_id
        from viewers
    ) as follows
    inner join videos on follows.creator_id = videos.creator_id
    where
        videos.published_at > {as_of:DateTime64(3, 'UTC')} - toIntervalDay(4)
        and draw('followee', follows.viewer_id, videos.video_id)
        < least(0.8, {fresh_share:Float64} * follows.activity)

),

of_everybody as (

    select
        viewer_id,
        toUInt32({charted_per_viewer:Float64} * activity) as plays,
        arrayJoin(
            arrayMap(
                number -> (select charted.video_ids from charted)[
                    1 + toUInt32(
                        floor(
                            (select length(charted.video_ids) from charted)
                            * pow((number + draw('charted', viewer_id, number)) / plays, 2)
                        )
                    )
                ],
                range(plays)
            )
        ) as video_id

    from viewers

),

of_all as (

    select
        viewer_id,
        toUInt32({others_per_viewer:Float64} * activity) as others,
        arrayJoin(
            arrayMap(
                number -> (
                    toUInt64(
                        floor(
                            {videos:UInt64}
                            * pow((number + draw('any', viewer_id, number)) / others, 2.5)
                        )
                    )
                    * {stride:UInt64} + {seed:UInt64}
                ) % {videos:UInt64},
                range(others)
            )
        ) as video_id

    from viewers

),

watched as (

    select
        viewer_id,
        video_id
    from of_followees
    union distinct
    select
        viewer_id,
        video_id
    from of_everybody
    union distinct
    select
        viewer_id,
        video_id
    from of_all

),

begun as (

    select
        watched.viewer_id as viewer_id,
        watched.video_id as video_id,
        -- Not the last day of the window: it would leave it while the world is in use.
        greatest(
            videos.published_at,
            toDateTime({as_of:DateTime64(3, 'UTC')}, 'UTC') - toIntervalDay(29)
        ) as since

    from watched
    inner join videos on watched.video_id = videos.video_id

)

select
    viewer_id as user_id,
    'video' as item_type,
    video_id as item_id,
    since + toUInt32(
        floor(
            (toDateTime({as_of:DateTime64(3, 'UTC')}, 'UTC') - since)
            * draw('when', viewer_id, video_id)
        )
    ) as watched_at,
    1 as watches
from begun
