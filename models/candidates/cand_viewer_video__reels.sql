-- The videos a viewer may be shown, each once, under the strongest of its sources:
-- 1 followee, 2 trending, 3 affinity, and only when those leave less than a page,
-- 4 fill_trending, 5 fill_newest.
--
-- What a viewer has stays one row of lists until every video has its source: a step over lists
-- costs a ranking next to nothing, one over rows a millisecond or two of planning.
with

-- Each source as lists of videos.
found as (

    select
        *,
        arrayMap(creator -> {{ videos_of("'creator'", 'creator') }}, followees) as followee_lists,
        arrayMap(
            creator -> arraySlice(
                {{ videos_of("'creator'", 'creator') }},
                1,
                {{ var('affinity_candidates_per_creator_videos') }}
            ),
            arraySlice(reacted_creators, 1, {{ var('affinity_candidates_creators') }})
        ) as affinity_lists

    from {{ ref('viewer_lists') }}

),

-- With what they are ordered by, the greatest first. Of the creators reacted to, every one's newest
-- comes before any one's second.
dated as (

    select
        *,
        arrayMap(
            video_id -> ({{ published_of('video_id') }}, video_id),
            arrayFlatten(followee_lists)
        ) as followee_videos,
        arrayMap(
            (video_id, nth) -> (-nth, {{ published_of('video_id') }}, video_id),
            arrayFlatten(affinity_lists),
            arrayFlatten(arrayMap(list -> arrayEnumerate(list), affinity_lists))
        ) as affinity_videos

    from found

),

-- Those of the source's time, cut to its limit.
limited as (

    select
        *,
        {{ first_of(
            'arrayFilter(video -> video.1 > followees_since and video.1 <= as_of, followee_videos)',
            var('followee_candidates_videos'),
        ) }} as latest_followee_videos,
        arraySlice({{ videos_of("'trending_24h'") }}, 1, {{ var('trending_candidates_videos') }})
            as trending_ids,
        {{ first_of(
            'arrayFilter(video -> video.2 <= as_of, affinity_videos)',
            var('affinity_candidates_videos'),
        ) }} as latest_affinity_videos

    from dated

),

-- (video, source), the strongest source first; 0 is what the viewer must not be shown.
sourced as (

    select
        *,
        arrayConcat(
            arrayMap(video_id -> (video_id, 0), excluded_videos),
            arrayMap(video -> (video.2, 1), latest_followee_videos),
            arrayMap(video_id -> (video_id, 2), trending_ids),
            arrayMap(video -> (video.3, 3), latest_affinity_videos)
        ) as sourced_videos

    from limited

),

core as (

    select
        *,
        {{ may_be_shown('sourced_videos') }} as core_videos

    from sourced

),

-- Nearly everybody has a page without this, and for them it is empty.
filling as (

    select
        *,
        if(
            length(core_videos) < {{ var('fill_below_videos') }},
            arrayConcat(
                sourced_videos,
                arrayMap(video_id -> (video_id, 4), {{ videos_of("'trending_7d'") }}),
                arrayMap(video_id -> (video_id, 5), {{ videos_of("'newest'") }})
            ),
            []
        ) as filling_videos

    from core

),

filled as (

    select
        *,
        {{ may_be_shown('filling_videos') }} as filled_videos

    from filling

)

select
    viewer_id,
    variant,
    shown,
    reaction_points,
    reacted_creators,
    candidate.1 as video_id,
    candidate.2 as source_rank,
    candidate.3.1 as creator_id,
    candidate.3.2 as published_at,
    candidate.3.3 as completion,
    candidate.3.4 as engagement,
    -- No embeddings yet. Null is "not there", which is not 0: its weight goes to the others.
    cast(null, 'Nullable(Float64)') as deep_model
from filled
array join
    if(
        empty(filling_videos),
        core_videos,
        arraySlice(
            filled_videos,
            1,
            arrayCount(video -> video.2 < 5, filled_videos) + {{ var('feed_videos') }}
        )
    ) as candidate
