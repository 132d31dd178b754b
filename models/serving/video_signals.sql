-- One row per public video: what ranks it that no viewer changes.
{{ config(
    materialized='refreshed_table',
    refresh_seconds=var('video_refresh_seconds'),
    refresh_after_landing=true,
    order_by='video_id',
    settings={'index_granularity': 1024, 'min_bytes_for_wide_part': 1099511627776},
) }}

with

videos as (

    select * from {{ ref('stg_raw__videos') }}

),

quality as (

    select * from {{ ref('sig_video__quality') }}

)

-- A video nobody has seen has no signals: the join gives it zeros, not nulls, so
-- `known_completions` and `views` say whether there was a match; none is the prior.
select
    videos.video_id as video_id,
    videos.creator_id as creator_id,
    videos.published_at as published_at,
    videos.version as version,
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
left join quality on videos.video_id = quality.video_id
