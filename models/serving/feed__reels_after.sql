-- feed__reels_after(viewer_id, as_of, variant, shown): a viewer's ranked reels as they stood at
-- `as_of`, one row per place, without the videos this session was already shown. `shown` is in
-- the order they were shown: saturation goes on from its last places.
{{ config(materialized='parameterized_view') }}

with

scored as (

    select * from {{ ref('score_viewer_video__reels') }}

),

-- The last places already shown lead the list, in their order, and are taken off again at the end.
shown_last as (

    select
        video_id,
        creator_id,
        indexOf({{ shown() }}, video_id) as shown_place

    from {{ ref('reel_cards') }}
    where video_id in (arraySlice({{ shown() }}, 1 - {{ var('saturation_window_places') }}))

),

listed as (

    select
        video_id,
        creator_id,
        source_rank,
        score_ppm,
        card,
        0 as shown_place
    from scored

    union all

    select
        video_id,
        creator_id,
        0 as source_rank,
        0 as score_ppm,
        defaultValueOfTypeName($${{ reel_card_type() }}$$) as card,
        shown_place
    from shown_last

),

ranked as (

    select
        video_id,
        creator_id,
        source_rank,
        score_ppm,
        card,
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
        (video_id, creator_id, source_rank, score_ppm, card) as video,
        rank,
        lagInFrame(rank, {{ var('saturation_per_creator_places') }}, 0) over (
            partition by creator_id
            order by rank
            rows between unbounded preceding and current row
        ) as rank_ahead

    from ranked

),

-- From here on the list is one row of arrays in rank order. Nothing moves before the first video
-- that is too close to another; most lists have such a video late or not at all.
gathered as (

    select
        arraySort(groupArray((rank, rank_ahead))) as spacing,
        arraySort(entry -> entry.1, groupArray((rank, video))) as videos,
        minIf(rank, rank_ahead > 0 and rank - rank_ahead < {{ var('saturation_window_places') }})
            as first_crowded,
        if(first_crowded = 0, length(videos) + 1, first_crowded) as crowded_from

    from spaced

),

saturated as (

    select
        videos.2 as videos,
        {{ saturated_ranks('spacing', 'crowded_from') }} as ranks,
        arraySort((place, rank) -> rank, arrayEnumerate(ranks), ranks) as places

    from gathered

),

served as (

    select arraySlice(
        arrayFilter(
            video -> video.3 != 0,
            arraySort((video, place) -> place, videos, places)
        ),
        1,
        {{ var('feed_videos') }}
    ) as videos
    from saturated

)

select
    toUInt32(position) as position,
    video.1 as video_id,
    video.2 as creator_id,
    toUInt32(video.4) as score_ppm,
    toLowCardinality(
        ['followee', 'trending', 'affinity', 'fill_trending', 'fill_newest'][video.3]
    ) as source,
    video.5.title as title,
    video.5.duration_ms as duration_ms,
    video.5.view_count as view_count,
    video.5.like_count as like_count,
    video.5.share_count as share_count,
    video.5.comment_count as comment_count,
    video.5.completion_rate as completion_rate,
    video.5.thumbnail_url as thumbnail_url,
    video.5.created_at as created_at
from served
array join
    videos as video,
    arrayEnumerate(videos) as position
