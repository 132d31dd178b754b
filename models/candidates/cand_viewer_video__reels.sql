-- The videos a viewer may be shown, each once, under the strongest of its sources:
-- 1 followee, 2 trending, 3 affinity, and only when those leave less than a page,
-- 4 fill_trending, 5 fill_newest.
with

followees as (

    select
        video_id,
        creator_id,
        published_at,
        completion,
        engagement,
        card,
        1 as source_rank

    from {{ ref('cand_video__by_creator') }}
    where
        creator_id in (
            select follows.followee_id
            from {{ source('raw', 'follows_current') }} as follows
            where follows.follower_id = {{ viewer_id() }}
        )
        and published_at > {{ as_of() }} - toIntervalHour({{ var('followee_window_hours') }})
        and published_at <= {{ as_of() }}
    order by
        published_at desc,
        video_id desc
    limit {{ var('followee_candidates_videos') }}

),

-- The 7-day chart holds what the 24-hour chart holds, and goes on where that ends.
trending as (

    select
        video_id,
        creator_id,
        published_at,
        completion,
        engagement,
        card,
        if(window = '24h', 2, 4) as source_rank

    from {{ ref('cand_video__trending') }}
    where
        (window = '24h' and rank <= {{ var('trending_candidates_videos') }})
        or window = '7d'

),

affinity as (

    select
        video_id,
        creator_id,
        published_at,
        completion,
        engagement,
        card,
        3 as source_rank

    from {{ ref('cand_video__by_creator') }}
    where
        creator_id in arraySlice(
            tupleElement({{ viewer_history(ref('sig_viewer_creator__affinity')) }}, 2),
            1,
            {{ var('affinity_candidates_creators') }}
        )
        and recency_rank <= {{ var('affinity_candidates_per_creator_videos') }}
        and published_at <= {{ as_of() }}
    order by
        recency_rank asc,
        published_at desc,
        video_id desc
    limit {{ var('affinity_candidates_videos') }}

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
        card,
        5 as source_rank

    from {{ ref('cand_video__newest') }}
    where
        published_at <= {{ as_of() }}
        and video_id not in {{ array_of(ref('cand_viewer_video__excluded'), 'video_id') }}
        and creator_id not in {{ array_of(ref('cand_viewer_creator__excluded'), 'creator_id') }}
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

-- Windows come before `limit by`, hence the distinct count.
allowed as (

    select
        video_id,
        creator_id,
        published_at,
        completion,
        engagement,
        card,
        source_rank,
        uniqExactIf(video_id, source_rank <= 3) over () as candidates

    from sourced
    where
        video_id not in {{ array_of(ref('cand_viewer_video__excluded'), 'video_id') }}
        and creator_id not in {{ array_of(ref('cand_viewer_creator__excluded'), 'creator_id') }}
        and published_at <= {{ as_of() }}
    order by source_rank
    limit 1 by video_id

)

select
    video_id,
    creator_id,
    published_at,
    completion,
    engagement,
    -- No embeddings yet. Null is "not there", which is not 0: its weight goes to the others.
    cast(null, 'Nullable(Float64)') as deep_model,
    card,
    source_rank
from allowed
where
    source_rank <= 3
    or candidates < {{ var('fill_below_videos') }}
