-- One row per viewer who is asked for: all that is known of them, as lists. Viewers nobody knows
-- have empty ones.
with

facts as (

    select
        viewer_id,
        list,
        id,
        bitAnd(max(stands), 1) as stands,
        max(seen_at) as seen_at,
        {{ affinity_points('sum(likes)', 'sum(comments)') }} as points

    from {{ source('raw', 'viewer_facts') }}
    where
        viewer_id in {{ viewer_ids() }}
        and (
            list != 'reacted_creator'
            or day > toDate({{ as_of() }}) - {{ var('affinity_window_days') }}
        )
    group by
        viewer_id,
        list,
        id

    union all

    select
        arrayJoin({{ viewer_ids() }}) as viewer_id,
        '' as list,
        0 as id,
        0 as stands,
        toDateTime(0, 'UTC') as seen_at,
        0 as points

)

select
    viewer_id,
    groupArrayIf(id, list = 'followee' and stands = 1) as followees,
    -- Likes taken back may leave less than nothing, which is no history with that creator.
    arrayReverseSort(groupArrayIf((points, id), list = 'reacted_creator' and points > 0))
        as reactions,
    arrayPushFront(
        groupArrayIf(id, list in ('blocked', 'blocked_by') and stands = 1),
        viewer_id
    ) as excluded_creators,
    arrayConcat(
        groupArrayIf(
            id,
            list = 'not_interested' and stands = 1
            or list = 'seen_video'
            and seen_at > {{ as_of() }} - toIntervalDay({{ var('seen_window_days') }})
        ),
        {{ shown_to('viewer_id') }}
    ) as excluded_videos,
    -- What they watched last, as many as their place is the mean of.
    groupArraySortedIf({{ var('deep_recall_watched_videos') }})( -- noqa: LT01
        (-toUnixTimestamp(seen_at), id),
        list = 'seen_video'
        and seen_at > {{ as_of() }} - toIntervalDay({{ var('seen_window_days') }})
    ) as watched,
    {{ embedding_directory() }} as directory
from facts
group by viewer_id
