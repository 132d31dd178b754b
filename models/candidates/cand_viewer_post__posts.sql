-- The posts a viewer may be shown, each once, under the strongest of its sources:
-- 1 followee, 2 trending, 3 affinity, and only when those leave less than a page,
-- 4 fill_trending, 5 fill_newest.
with

followees as (

    select
        post_id,
        author_id,
        created_at,
        engagement,
        card,
        1 as source_rank

    from {{ ref('cand_post__by_author') }}
    where
        author_id in (
            select follows.followee_id
            from {{ source('raw', 'follows_current') }} as follows
            where follows.follower_id = {{ viewer_id() }}
        )
        and created_at > {{ as_of() }} - toIntervalHour({{ var('followee_window_hours') }})
        and created_at <= {{ as_of() }}
    order by
        created_at desc,
        post_id desc
    limit {{ var('followee_candidates_posts') }}

),

-- The 7-day chart holds what the 24-hour chart holds, and goes on where that ends.
trending as (

    select
        post_id,
        author_id,
        created_at,
        engagement,
        card,
        if(window = '24h', 2, 4) as source_rank

    from {{ ref('cand_post__trending') }}
    where
        (window = '24h' and rank <= {{ var('trending_candidates_posts') }})
        or window = '7d'

),

affinity as (

    select
        post_id,
        author_id,
        created_at,
        engagement,
        card,
        3 as source_rank

    from {{ ref('cand_post__by_author') }}
    where
        author_id in arraySlice(
            tupleElement({{ viewer_history(ref('sig_viewer_author__affinity'), 'author_id') }}, 2),
            1,
            {{ var('affinity_candidates_authors') }}
        )
        and recency_rank <= {{ var('affinity_candidates_per_author_posts') }}
        and created_at <= {{ as_of() }}
    order by
        recency_rank asc,
        created_at desc,
        post_id desc
    limit {{ var('affinity_candidates_posts') }}

),

-- What may not be shown is skipped while reading, not after: the read ends when enough are found,
-- and does not end before while there is anything left to find.
newest as (

    select
        post_id,
        author_id,
        created_at,
        engagement,
        card,
        5 as source_rank

    from {{ ref('cand_post__newest') }}
    where
        created_at <= {{ as_of() }}
        and post_id not in {{ array_of(ref('cand_viewer_post__excluded'), 'post_id') }}
        and author_id not in {{ array_of(ref('cand_viewer_creator__excluded'), 'creator_id') }}
    order by
        created_at desc,
        post_id desc
    limit {{ var('feed_posts') }}

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
        post_id,
        author_id,
        created_at,
        engagement,
        card,
        source_rank,
        uniqExactIf(post_id, source_rank <= 3) over () as candidates

    from sourced
    where
        post_id not in {{ array_of(ref('cand_viewer_post__excluded'), 'post_id') }}
        and author_id not in {{ array_of(ref('cand_viewer_creator__excluded'), 'creator_id') }}
        and created_at <= {{ as_of() }}
        -- Exact where the tables are as old as their last refresh: what was seen is forgotten after
        -- the seen window, and may not come back before it leaves this one.
        and created_at > {{ as_of() }} - toIntervalDay({{ var('post_window_days') }})
    order by source_rank
    limit 1 by post_id

)

select
    post_id,
    author_id,
    created_at,
    engagement,
    card,
    source_rank
from allowed
where
    source_rank <= 3
    or candidates < {{ var('fill_below_posts') }}
