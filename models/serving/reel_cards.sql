-- One row per public video: what its card shows. Counters are Postgres' own (exact, all time).
{{ config(
    materialized='refreshed_table',
    refresh_seconds=var('card_refresh_seconds'),
    order_by='video_id',
    settings={'index_granularity': 128, 'min_bytes_for_wide_part': 1099511627776},
) }}

with

videos as (

    select * from {{ ref('stg_raw__videos') }}

),

counters as (

    select * from {{ source('raw', 'video_engagement_current') }}

)

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
    if(counters.views = 0, 0, least(1, counters.completions / counters.views)) as completion_rate
from videos
left join counters on videos.video_id = counters.video_id
