-- The videos a viewer may be shown, each once, under the strongest of its sources:
-- 1 followee, 2 trending, 3 affinity, and only when those leave less than a page,
-- 4 fill_trending, 5 fill_newest.
--
-- The viewer's lists are read once, as a constant: keys are looked up with it, and no join
-- repeats thousands of ids beside every video.
with

(
    select (excluded_videos, excluded_creators, followees, affinity_creators, affinities)
    from {{ ref('cand_viewer__lists') }}
) as lists,

followees as (

    select
        video_id,
        creator_id,
        published_at,
        completion,
        engagement,
        1 as source_rank

    from {{ ref('cand_video__by_creator') }}
    where
        creator_id in (lists.3)
        and published_at > {{ as_of() }} - toIntervalHour({{ var('followee_window_hours') }})
        and published_at <= {{ as_of() }}
    order by
        published_at desc,
        video_id desc
    limit {{ var('followee_candidates_videos') }}

),

affinity as (

    select
        video_id,
        creator_id,
        published_at,
        completion,
        engagement,
        3 as source_rank

    from {{ ref('cand_video__by_creator') }}
    where
        creator_id in (lists.4)
        and recency_rank <= {{ var('affinity_candidates_per_creator_videos') }}
    order by
        lists.5[indexOf(lists.4, creator_id)] desc,
        published_at desc,
        video_id desc
    limit {{ var('affinity_candidates_videos') }}

),

-- The 7-day chart holds what the 24-hour chart holds, and goes on where that ends.
trending as (

    select
        video_id,
        creator_id,
        published_at,
        completion,
        engagement,
        if(window = '24h', 2, 4) as source_rank

    from {{ ref('trending_reels') }}
    where
        (window = '24h' and rank <= {{ var('trending_candidates_videos') }})
        or window = '7d'

),

-- What may not be shown is skipped while reading, not after: the read ends when enough are found,
-- and does not end before while there is anything left to find.
newest as (

    select
        video_id,
        creator_id,
        published_at,
        completion,
        engagement,
        5 as source_rank

    from {{ ref('cand_video__newest') }}
    where
        published_at <= {{ as_of() }}
        and video_id not in (lists.1)
        and creator_id not in (lists.2)
    order by
        published_at desc,
        video_id desc
    limit {{ var('feed_videos') }}

),

sourced as (

    select * from followees
    union all
    select * from trending
    union all
    select * from affinity
    union all
    select * from newest

),

allowed as (

    select
        video_id,
        creator_id,
        published_at,
        completion,
        engagement,
        source_rank

    from sourced
    where
        video_id not in (lists.1)
        and creator_id not in (lists.2)
        and published_at <= {{ as_of() }}
    order by source_rank
    limit 1 by video_id

),

counted as (

    select
        *,
        countIf(source_rank <= 3) over () as candidates
    from allowed

)

select
    video_id,
    creator_id,
    published_at,
    completion,
    engagement,
    source_rank
from counted
where
    source_rank <= 3
    or candidates < {{ var('fill_below_videos') }}
