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
        creator_id as owner_id,
        (video_id, creator_id, source_rank, score_ppm, card) as item,
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

{{ saturated('reels') }}

select
    position,
    item.1 as video_id,
    item.2 as creator_id,
    item.4 as score_ppm,
    toLowCardinality(
        ['followee', 'trending', 'affinity', 'fill_trending', 'fill_newest'][item.3]
    ) as source,
    tupleElement(item.5, 'title') as title,
    tupleElement(item.5, 'duration_ms') as duration_ms,
    tupleElement(item.5, 'view_count') as view_count,
    tupleElement(item.5, 'like_count') as like_count,
    tupleElement(item.5, 'share_count') as share_count,
    tupleElement(item.5, 'comment_count') as comment_count,
    tupleElement(item.5, 'completion_rate') as completion_rate,
    tupleElement(item.5, 'thumbnail_url') as thumbnail_url,
    tupleElement(item.5, 'created_at') as created_at
from served
array join
    served_items as item,
    arrayEnumerate(served_items) as position
