-- One row per viewer: the videos they may be shown, each once, under the strongest of its sources:
-- 1 followee, 2 trending, 3 affinity, 4 deep_recall, and only when those leave less than a page,
-- 5 fill_trending, 6 fill_newest.
--
-- Lists instead of rows, and few steps of few columns: what a ranking costs is planning, which
-- grows with steps times columns (docs/decisions/0042).

-- Of the last 72 hours, newest first.
{%- set followee_videos -%}
arraySlice(
                    arrayReverseSort(
                        arrayFilter(
                            video ->
                            video.1 > {{ as_of() }} - toIntervalHour({{ var('followee_window_hours') }})
                            and video.1 <= {{ as_of() }},
                            arrayMap(
                                video_id -> ({{ published_of('video_id') }}, video_id),
                                arrayFlatten(
                                    arrayMap(
                                        creator_id -> {{ videos_of("'creator'", 'creator_id') }},
                                        followees
                                    )
                                )
                            )
                        )
                    ),
                    1,
                    {{ var('followee_candidates_videos') }}
                )
{%- endset -%}

{%- set trending_videos -%}
arraySlice({{ videos_of("'trending_24h'") }}, 1, {{ var('trending_candidates_videos') }})
{%- endset -%}

-- Of the creators reacted to, every one's newest before any one's second.
{%- set affinity_videos -%}
arraySlice(
                    arrayReverseSort(
                        arrayFilter(
                            video -> video.2 <= {{ as_of() }},
                            arrayFlatten(
                                arrayMap(
                                    video_ids -> arrayMap(
                                        (video_id, recency_rank) -> (
                                            -recency_rank, {{ published_of('video_id') }}, video_id
                                        ),
                                        video_ids,
                                        arrayEnumerate(video_ids)
                                    ),
                                    arrayMap(
                                        reaction -> arraySlice(
                                            {{ videos_of("'creator'", 'reaction.2') }},
                                            1,
                                            {{ var('affinity_candidates_per_creator_videos') }}
                                        ),
                                        arraySlice(reactions, 1, {{ var('affinity_candidates_creators') }})
                                    )
                                )
                            )
                        )
                    ),
                    1,
                    {{ var('affinity_candidates_videos') }}
                )
{%- endset -%}

-- Where the viewer is: the mean of what they watched last, the recent weighing most. Nowhere, when
-- nothing of that has an embedding.
{%- set place -%}
cast(
            127 * L2Normalize(
                arrayReduce(
                    'sumForEach',
                    arrayMap(
                        video -> {{ vector_of(video_key('video.2', 'directory[1]')) }} * exp2(
                            -(toUnixTimestamp({{ as_of() }}) + video.1)
                            / (86400 * {{ var('deep_recall_half_life_days') }})
                        ),
                        watched
                    )
                )
            ),
            'Array(Int8)'
        )
{%- endset -%}

-- The clusters nearest to the viewer.
{%- set near_clusters -%}
arraySlice(
                        arrayPartialReverseSort(
                            {{ var('deep_recall_near_clusters') }},
                            arrayMap(
                                cluster -> ({{ likeness('place', vector_of('cluster')) }}, cluster),
                                arrayPopFront(directory)
                            )
                        ),
                        1,
                        if(empty(place), 0, {{ var('deep_recall_near_clusters') }})
                    )
{%- endset -%}

-- Of the best videos there, those nearest to the viewer that they may be shown.
{%- set near_videos -%}
arraySlice(
                    arrayPartialReverseSort(
                        {{ var('deep_recall_candidates_videos') }},
                        arrayMap(
                            video_id -> (
                                {{ likeness('place', vector_of(video_key('video_id', 'directory[1]'))) }},
                                video_id
                            ),
                            arrayExcept(
                                arrayFlatten(
                                    arrayMap(
                                        cluster -> {{ videos_near('cluster.2') }},
                                        {{ near_clusters }}
                                    )
                                ),
                                excluded_videos
                            )
                        )
                    ),
                    1,
                    {{ var('deep_recall_candidates_videos') }}
                )
{%- endset %}

with

located as (

    select
        viewer_id,
        followees,
        reactions,
        excluded_creators,
        excluded_videos,
        directory,
        {{ place }} as place

    from {{ ref('viewer_lists') }}

),

sourced as (

    select
        viewer_id,
        reactions,
        (directory[1], place) as viewer_place,
        excluded_creators,
        excluded_videos,
        arrayConcat(
            arrayMap(
                video -> (video.2, 1),
                {{ followee_videos }}
            ),
            arrayMap(
                video_id -> (video_id, 2),
                {{ trending_videos }}
            ),
            arrayMap(
                video -> (video.3, 3),
                {{ affinity_videos }}
            ),
            arrayMap(
                video -> (video.2, 4),
                {{ near_videos }}
            )
        ) as sourced_videos

    from located

),

-- As (video, source), the strongest source first. What must not be shown leads them as source 0,
-- so that "each video once" keeps it away. Fills are long: they are asked for by names that depend
-- on whether a page is left, because ClickHouse would evaluate a constant one while it plans.
listed as (

    select
        viewer_id,
        reactions,
        viewer_place,
        excluded_creators,
        arrayConcat(
            arrayMap(video_id -> (video_id, 0), excluded_videos),
            sourced_videos,
            arrayFlatten(
                arrayMap(
                    fill -> arrayMap(
                        video_id -> (video_id, fill.2),
                        {{ videos_of('fill.1') }}
                    ),
                    if(
                        length(arrayExcept(arrayDistinct(sourced_videos.1), excluded_videos))
                        < {{ var('fill_below_videos') }}
                        + arrayCount(
                            video -> has(excluded_creators, {{ creator_of('video.1') }}),
                            sourced_videos
                        ),
                        [('trending_7d', 5), ('newest', 6)],
                        []
                    )
                )
            )
        ) as listed_videos

    from sourced

),

-- With the signals of each, as (video, source, signals).
allowed as (

    select
        viewer_id,
        reactions,
        viewer_place,
        arrayFilter(
            video ->
            video.3.5 = 1
            and video.3.2 <= {{ as_of() }}
            and not has(excluded_creators, video.3.1),
            arrayMap(
                video -> (video.1, video.2, {{ signals_of('video.1') }}),
                arrayFilter(
                    (video, nth) -> nth = 1 and video.2 != 0,
                    listed_videos,
                    arrayEnumerateUniq(listed_videos.1)
                )
            )
        ) as videos

    from listed

),

cut as (

    select
        viewer_id,
        reactions,
        viewer_place,
        arraySlice(
            videos,
            1,
            if(
                arrayCount(video -> video.2 <= 4, videos) < {{ var('fill_below_videos') }},
                arrayCount(video -> video.2 <= 5, videos) + {{ var('feed_videos') }},
                arrayCount(video -> video.2 <= 4, videos)
            )
        ) as candidates

    from allowed

)

select
    viewer_id,
    reactions,
    viewer_place,
    candidates.1 as video_ids,
    candidates.2 as source_ranks,
    candidates.3 as video_signals
from cut
