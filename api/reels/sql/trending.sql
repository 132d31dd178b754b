-- The chart of a window without some of its videos, top first. A score says where on it a video is,
-- whatever the traffic: from a half to 1 by its part of the most growth there is, and up to a half,
-- what does not grow, by its part of the most points of those.
with

chart as (

    select
        rank,
        video_id,
        counted_at,
        toUInt32(
            round(
                500000
                * if(
                    growth > 0,
                    1 + growth / max(growth) over (),
                    points / max(if(growth > 0, 0, points)) over ()
                )
            )
        ) as score_ppm

    from nova.trending_reels
    where window = {window:String}

),

listed as (

    select
        rank,
        video_id,
        counted_at,
        score_ppm

    from chart
    where not has({shown:Array(UInt64)}, video_id)
    order by rank
    limit {limit:UInt16}

),

cards as (

    select
        video_id,
        creator_id,
        title,
        duration_ms,
        view_count,
        like_count,
        share_count,
        comment_count,
        completion_rate,
        thumbnail_url,
        created_at

    from nova.reel_cards
    where video_id in (select listed.video_id from listed)

)

select
    cards.video_id as video_id,
    cards.creator_id as creator_id,
    listed.score_ppm as score_ppm,
    listed.counted_at as counted_at,
    cards.title as title,
    cards.view_count as view_count,
    cards.like_count as like_count,
    cards.share_count as share_count,
    cards.comment_count as comment_count,
    cards.completion_rate as completion_rate,
    cards.thumbnail_url as thumbnail_url,
    cards.created_at as created_at,
    'trending' as source,
    listed.score_ppm / 1000000 as ranking_score,
    cards.duration_ms / 1000 as duration_seconds
from cards
inner join listed on cards.video_id = listed.video_id
order by listed.rank
