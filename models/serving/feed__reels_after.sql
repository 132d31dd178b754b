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
        0 as shown_place
    from scored

    union all

    select
        video_id,
        creator_id,
        0 as source_rank,
        0 as score_ppm,
        shown_place
    from shown_last

),

ranked as (

    select
        video_id,
        creator_id,
        source_rank,
        score_ppm,
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
        video_id,
        source_rank,
        score_ppm,
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
        arraySort(groupArray((rank, video_id, source_rank, score_ppm))) as videos,
        minIf(rank, rank_ahead > 0 and rank - rank_ahead < {{ var('saturation_window_places') }})
            as first_crowded,
        if(first_crowded = 0, length(spacing), first_crowded - 1) as settled

    from spaced

),

saturated as (

    select
        videos,
        {{ saturated_ranks('spacing', 'settled') }} as ranks
    from gathered

),

(
    select
        arraySlice(
            arrayFilter(
                video -> video.3 != 0,
                arraySort(
                    (video, place) -> place,
                    videos,
                    arraySort((place, rank) -> rank, arrayEnumerate(ranks), ranks)
                )
            ),
            1,
            {{ var('feed_videos') }}
        )
    from saturated
) as served

select
    toUInt32(indexOf(served.2, cards.video_id)) as position,
    cards.video_id as video_id,
    cards.creator_id as creator_id,
    toUInt32(served.4[position]) as score_ppm,
    toLowCardinality(
        ['followee', 'trending', 'affinity', 'fill_trending', 'fill_newest'][served.3[position]]
    ) as source,
    cards.title as title,
    cards.duration_ms as duration_ms,
    cards.view_count as view_count,
    cards.like_count as like_count,
    cards.share_count as share_count,
    cards.comment_count as comment_count,
    cards.completion_rate as completion_rate,
    cards.thumbnail_url as thumbnail_url,
    cards.created_at as created_at
from {{ ref('reel_cards') }} as cards
where cards.video_id in (served.2)
