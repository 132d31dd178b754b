-- One row per public video: what its card shows, and the signals that do not depend on a viewer.
-- Counters are Postgres' own (exact, all time); signals come from the 90-day rollup.
{{ config(
    materialized='refreshed_table',
    refresh_seconds=var('video_refresh_seconds'),
    refresh_after_landing=true,
    order_by='video_id',
    settings={'index_granularity': 128, 'min_bytes_for_wide_part': 1099511627776},
) }}

with

videos as (

    select * from {{ ref('stg_raw__videos') }}

),

counters as (

    select * from {{ source('raw', 'video_engagement_current') }}

),

quality as (

    select * from {{ ref('sig_video__quality') }}

),

-- A video nobody has seen has no counters and no signals: the joins give it zeros, not nulls,
-- so `known_completions` and `views` say whether there was a match; none is the prior.
cards as (

    select
        videos.video_id as video_id,
        videos.creator_id as creator_id,
        videos.title as title,
        videos.thumbnail_url as thumbnail_url,
        videos.duration_ms as duration_ms,
        videos.created_at as created_at,
        videos.published_at as published_at,
        counters.views as view_count,
        counters.likes as like_count,
        counters.shares as share_count,
        counters.comments as comment_count,
        if(counters.views = 0, 0, least(1, counters.completions / counters.views))
            as completion_rate,
        if(
            quality.known_completions = 0,
            {{ var('completion_prior_rate') }},
            quality.completion
        ) as completion,
        if(
            quality.views = 0,
            {{ var('engagement_prior_rate') }},
            quality.engagement
        ) as engagement

    from videos
    left join counters on videos.video_id = counters.video_id
    left join quality on videos.video_id = quality.video_id

)

select
    video_id,
    creator_id,
    title,
    thumbnail_url,
    duration_ms,
    created_at,
    published_at,
    view_count,
    like_count,
    share_count,
    comment_count,
    completion_rate,
    completion,
    engagement
from cards
