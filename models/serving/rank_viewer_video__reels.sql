-- One row per place in a viewer's list: every score rounded, every rule of order applied. The body
-- of feed__reels and feed__reels_after.
{{ config(materialized='ephemeral') }}

with

-- The last places already shown lead the list, in their order, and are taken off again at the end:
-- saturation goes on where the session left it.
listed as (

    select
        video_id,
        creator_id,
        source_rank,
        score_ppm,
        card,
        0 as shown_place
    from {{ ref('score_viewer_video__reels') }}

    union all

    select
        video_id,
        creator_id,
        0 as source_rank,
        0 as score_ppm,
        defaultValueOfTypeName({{ reel_card_type() }}) as card,
        indexOf({{ shown() }}, video_id) as shown_place
    from {{ ref('reel_cards') }}
    where
        -- Of a constant array that is empty, `in` would read every card.
        video_id in (
            select arrayJoin(arraySlice({{ shown() }}, -{{ var('saturation_window_places') }} + 1))
        )

),

ranked as (

    select
        creator_id,
        (video_id, creator_id, source_rank, score_ppm, card) as video,
        row_number() over (
            order by
                source_rank = 0 desc,
                shown_place,
                score_ppm desc,
                video_id desc
        ) as rank

    from listed
    order by rank
    limit {{ var('feed_videos') }} + {{ var('saturation_reserve_videos') }}

),

-- The video that must be a whole window ahead: for two places per creator, their last but one.
spaced as (

    select
        video,
        rank,
        lagInFrame(rank, {{ var('saturation_per_creator_places') }}, 0) over (
            partition by creator_id
            order by rank
            rows between unbounded preceding and current row
        ) as rank_ahead

    from ranked

),

-- The list as one row of arrays in rank order.
gathered as (

    select arraySort(groupArray((rank, rank_ahead, video))) as entries
    from spaced

),

-- Nothing moves before the first video that is too close to the one ahead: often none is.
crowded as (

    select
        tupleElement(entries, 2) as ranks_ahead,
        tupleElement(entries, 3) as videos,
        {{ first_crowded_rank('tupleElement(entries, 2)') }} as crowded_from

    from gathered

),

saturated as (

    select
        videos,
        {{ saturated_places('ranks_ahead', 'crowded_from') }} as places
    from crowded

),

served as (

    select
        arraySlice(
            arrayFilter(
                video -> video.3 != 0,
                arraySort((video, place) -> place, videos, places)
            ),
            1,
            {{ var('feed_videos') }}
        ) as served_videos

    from saturated

)

select
    position,
    video.1 as video_id,
    video.2 as creator_id,
    video.4 as score_ppm,
    toLowCardinality(
        ['followee', 'trending', 'affinity', 'fill_trending', 'fill_newest'][video.3]
    ) as source,
    tupleElement(video.5, 'title') as title,
    tupleElement(video.5, 'duration_ms') as duration_ms,
    tupleElement(video.5, 'view_count') as view_count,
    tupleElement(video.5, 'like_count') as like_count,
    tupleElement(video.5, 'share_count') as share_count,
    tupleElement(video.5, 'comment_count') as comment_count,
    tupleElement(video.5, 'completion_rate') as completion_rate,
    tupleElement(video.5, 'thumbnail_url') as thumbnail_url,
    tupleElement(video.5, 'created_at') as created_at
from served
array join
    served_videos as video,
    arrayEnumerate(served_videos) as position
