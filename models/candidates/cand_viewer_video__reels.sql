-- The videos a viewer may be shown, each once, under the strongest of its sources:
-- 1 followee, 2 trending, 3 affinity, and only when those leave less than a page,
-- 4 fill_trending, 5 fill_newest.
with

{{ reel_sources() }},

-- The 7-day chart holds what the 24-hour chart holds, and goes on where that ends.
fill_trending as (

    select
        video_id,
        creator_id,
        published_at,
        completion,
        engagement,
        card,
        4 as source_rank

    from {{ ref('cand_video__trending') }}
    where window = '7d'

),

-- What may not be shown is skipped while reading, not after: the read ends when enough are found,
-- and does not end before while there is anything left to find.
fill_newest as (

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
        {{ may_be_shown() }}
    order by
        published_at desc,
        video_id desc
    limit {{ var('feed_videos') }}

),

sourced as (

    select * from core
    union all
    select * from fill_trending
    union all
    select * from fill_newest

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
        {{ may_be_shown() }}
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
