-- One row per viewer and place in their list, every rule of order applied. The body of feed__reels.
--
-- A creator has at most two of any ten consecutive places. Each place goes to the best video not
-- yet placed whose creator may have it; nothing is dropped. docs/ranking.md has the rule in words.
{{ config(materialized='ephemeral') }}

with

-- Higher score first, and the larger id among equals.
scored as (

    select
        viewer_id,
        any(shown) as shown,
        arrayReverseSort(groupArray((score_ppm, video_id, creator_id, source_rank))) as videos

    from {{ ref('score_viewer_video__reels') }}
    group by viewer_id

),

-- The last places already shown lead the list, in their order, and are taken off again at the end:
-- saturation goes on where the session left it.
led as (

    select
        viewer_id,
        arraySlice(
            arrayConcat(
                arrayMap(
                    video -> (0, video.1, video.2.1, 0),
                    arrayFilter(
                        video -> video.2.5 = 1,
                        arrayMap(
                            video_id -> (video_id, {{ signals_of('video_id') }}),
                            arraySlice(shown, -{{ var('saturation_window_places') }} + 1)
                        )
                    )
                ),
                videos
            ),
            1,
            {{ var('feed_videos') }} + {{ var('saturation_reserve_videos') }}
        ) as items

    from scored

),

-- A number for each item that says whose and the how-manieth of theirs it is.
numbered as (

    select
        viewer_id,
        items,
        arrayMap(
            (creator_id, nth) -> 1000 * indexOf(items.3, creator_id) + nth,
            items.3,
            arrayEnumerateUniq(items.3)
        ) as numbers

    from led

),

-- The rank of the item that must be a window ahead: of two places per creator, their last but one.
spaced as (

    select
        viewer_id,
        items,
        arrayMap(
            number -> indexOf(numbers, number - {{ var('saturation_per_creator_places') }}),
            numbers
        ) as ranks_ahead,
        toUInt64(length(items)) as last_rank

    from numbered

),

placed as (

    select
        viewer_id,
        items,
        {{ places_behind('ranks_ahead', 'last_rank', var('saturation_window_places')) }} as places

    from spaced

),

served as (

    select
        viewer_id,
        arraySlice(
            arrayFilter(
                item -> item.4 != 0,
                arraySort((item, place) -> place, items, places)
            ),
            1,
            {{ var('feed_videos') }}
        ) as served_items

    from placed

)

select
    viewer_id,
    position,
    item.2 as video_id,
    item.3 as creator_id,
    item.1 as score_ppm,
    toLowCardinality(
        ['followee', 'trending', 'affinity', 'fill_trending', 'fill_newest'][item.4]
    ) as source
from served
array join
    served_items as item,
    arrayEnumerate(served_items) as position
