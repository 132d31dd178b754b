-- A viewer's reels as one would write them first: one row per video, follow, view and reaction,
-- put together by joins and `in`, ordered by score. The candidates and their scores are those of
-- the feed; the order is not saturated, and a list that is too short is not filled.
with

videos as (

    select
        video_id,
        creator_id,
        published_at,
        completion,
        engagement

    from {{ ref('video_signals') }}

),

reactions as (

    select
        creator_id,
        affinity

    from {{ ref('sig_viewer_creator__affinity') }}
    where viewer_id = {{ viewer_id() }}

),

of_followees as (

    select
        video_id,
        1 as source_rank

    from videos
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

of_the_chart as (

    select
        video_id,
        2 as source_rank

    from {{ ref('trending_reels') }}
    where
        window = '24h'
        and rank <= {{ var('trending_candidates_videos') }}

),

of_creators as (

    select
        video_id,
        published_at,
        row_number() over (
            partition by creator_id
            order by
                published_at desc,
                video_id desc
        ) as recency_rank

    from videos
    where
        creator_id in (
            select liked.creator_id
            from reactions as liked
            order by
                liked.affinity desc,
                liked.creator_id desc
            limit {{ var('affinity_candidates_creators') }}
        )

),

of_affinity as (

    select
        video_id,
        3 as source_rank

    from of_creators
    where
        recency_rank <= {{ var('affinity_candidates_per_creator_videos') }}
        and published_at <= {{ as_of() }}
    order by
        recency_rank asc,
        published_at desc,
        video_id desc
    limit {{ var('affinity_candidates_videos') }}

),

sourced as (

    select * from of_followees
    union all
    select * from of_the_chart
    union all
    select * from of_affinity

),

candidates as (

    select
        video_id,
        min(source_rank) as source_rank

    from sourced
    group by video_id

),

allowed as (

    select
        videos.video_id as video_id,
        videos.creator_id as creator_id,
        videos.published_at as published_at,
        videos.completion as completion,
        videos.engagement as engagement,
        candidates.source_rank as source_rank

    from candidates
    inner join videos on candidates.video_id = videos.video_id
    where
        videos.published_at <= {{ as_of() }}
        and videos.video_id not in (
            select seen.item_id
            from {{ source('raw', 'user_watch_history') }} as seen
            where
                seen.user_id = {{ viewer_id() }}
                and seen.item_type = 'video'
                and seen.watched_at > {{ as_of() }} - toIntervalDay({{ var('seen_window_days') }})
        )
        and videos.video_id not in (
            select hidden.video_id
            from {{ source('raw', 'not_interested_current') }} as hidden
            where hidden.user_id = {{ viewer_id() }}
        )
        and videos.creator_id not in (
            select blocks.blocked_id
            from {{ source('raw', 'blocks_current') }} as blocks
            where blocks.blocker_id = {{ viewer_id() }}
        )
        and videos.creator_id not in (
            select blocks.blocker_id
            from {{ source('raw', 'blocks_current') }} as blocks
            where blocks.blocked_id = {{ viewer_id() }}
        )
        and videos.creator_id != {{ viewer_id() }}

),

signals as (

    select
        allowed.video_id as video_id,
        allowed.creator_id as creator_id,
        allowed.source_rank as source_rank,
        {{ quadratic_decay('allowed.published_at', as_of(), var('freshness_span_hours')) }}
            as freshness,
        allowed.completion as completion,
        allowed.engagement as engagement,
        if(
            (select count(liked.creator_id) from reactions as liked) = 0,
            {{ var('affinity_without_history_rate') }},
            reactions.affinity
        ) as affinity,
        weights.weight_freshness as weight_freshness,
        weights.weight_completion as weight_completion,
        weights.weight_engagement as weight_engagement,
        weights.weight_affinity as weight_affinity

    from allowed
    left join reactions on allowed.creator_id = reactions.creator_id
    cross join {{ ref('ranking_weights') }} as weights
    where weights.variant = {{ variant() }}

)

select
    video_id,
    creator_id,
    toUInt32(round(1000000 * {{ weighted_mean(
        signals=['freshness', 'completion', 'engagement', 'affinity'], optional=[]
    ) }})) as score_ppm,
    source_rank
from signals
order by
    score_ppm desc,
    video_id desc
limit {{ var('feed_videos') }} + {{ var('saturation_reserve_videos') }}
