{#- What a feed of reels is made of: the videos of each of its sources, cut to its limit, as the steps
    `followees`, `trending` and `affinity`, and all of them as `core`. A video may come twice. -#}
{%- macro reel_sources() -%}
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

trending as (

    select
        video_id,
        creator_id,
        published_at,
        completion,
        engagement,
        card,
        2 as source_rank

    from {{ ref('cand_video__trending') }}
    where
        window = '24h'
        and rank <= {{ var('trending_candidates_videos') }}

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

core as (

    select * from followees
    union all
    select * from trending
    union all
    select * from affinity

)
{%- endmacro -%}

{#- That the viewer may be shown a video, whichever list it stands on. -#}
{%- macro may_be_shown() -%}
video_id not in {{ array_of(ref('cand_viewer_video__excluded'), 'video_id') }}
        and creator_id not in {{ array_of(ref('cand_viewer_creator__excluded'), 'creator_id') }}
        and published_at <= {{ as_of() }}
{%- endmacro -%}
