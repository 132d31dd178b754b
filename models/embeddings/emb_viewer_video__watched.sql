-- What embeddings are learned from: what some viewers watched in the last 30 days. An even sample
-- of viewers, and of each what they watched last, so the rest has a bound whatever happens.
{{ config(
    materialized='refreshed_table',
    refresh_seconds=var('embedding_refresh_seconds'),
    order_by=['video_id', 'viewer_id'],
) }}

with

-- Those with the smallest hashes.
sampled as (

    select user_id
    from {{ source('raw', 'user_watch_history') }}
    where item_type = 'video'
    group by user_id
    order by sipHash64(user_id)
    limit {{ var('embedding_viewers') }}

),

watched as (

    select
        user_id as viewer_id,
        item_id as video_id

    from {{ source('raw', 'user_watch_history') }}
    where
        item_type = 'video'
        and user_id in (select sampled.user_id from sampled)
    group by
        viewer_id,
        video_id
    order by
        max(watched_at) desc,
        video_id desc
    limit {{ var('embedding_per_viewer_videos') }} by viewer_id

)

select
    viewer_id,
    video_id,
    count(*) over (partition by viewer_id) as viewer_videos,
    count(*) over (partition by video_id) as video_viewers
from watched
settings max_threads = 1
