-- What a feed must know about its viewer, in one row of arrays: every list is read by the viewer's
-- key, once, however often the feed looks at it. A viewer nobody knows has empty lists (and
-- themselves, whose videos they are never shown).
with

entries as (

    select
        'excluded_video' as list,
        item_id as id,
        0.0 as affinity
    from {{ source('raw', 'user_watch_history') }}
    where
        user_id = {{ viewer_id() }}
        and item_type = 'video'
        and watched_at > {{ as_of() }} - toIntervalDay({{ var('seen_window_days') }})

    union all

    select
        'excluded_video' as list,
        video_id as id,
        0.0 as affinity
    from {{ source('raw', 'not_interested_current') }}
    where user_id = {{ viewer_id() }}

    union all

    select
        'excluded_video' as list,
        arrayJoin({{ shown() }}) as id,
        0.0 as affinity

    union all

    select
        'excluded_creator' as list,
        {{ viewer_id() }} as id,
        0.0 as affinity

    union all

    select
        'excluded_creator' as list,
        blocked_id as id,
        0.0 as affinity
    from {{ source('raw', 'blocks_current') }}
    where blocker_id = {{ viewer_id() }}

    union all

    select
        'excluded_creator' as list,
        creator_id as id,
        0.0 as affinity
    from {{ ref('cand_viewer_creator__blocked_by') }}
    where viewer_id = {{ viewer_id() }}

    union all

    select
        'followee' as list,
        followee_id as id,
        0.0 as affinity
    from {{ source('raw', 'follows_current') }}
    where follower_id = {{ viewer_id() }}

    union all

    select
        'affinity_creator' as list,
        creator_id as id,
        affinity
    from {{ ref('sig_viewer_creator__affinity') }}
    where viewer_id = {{ viewer_id() }}

)

select
    groupArrayIf(id, list = 'excluded_video') as excluded_videos,
    groupArrayIf(id, list = 'excluded_creator') as excluded_creators,
    groupArrayIf(id, list = 'followee') as followees,
    groupArrayIf(id, list = 'affinity_creator') as affinity_creators,
    groupArrayIf(affinity, list = 'affinity_creator') as affinities
from entries
