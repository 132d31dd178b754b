-- One row per public post of the window: its counters, and the signal no viewer changes. Counters
-- are Postgres' own (exact, all time).
{{ config(
    materialized='refreshed_table',
    refresh_seconds=var('post_refresh_seconds'),
    refresh_after_landing=true,
    order_by='post_id',
    settings={'index_granularity': 128, 'min_bytes_for_wide_part': 1099511627776},
) }}

with

posts as (

    select * from {{ ref('stg_raw__posts') }}

),

counters as (

    select * from {{ source('raw', 'post_engagement_current') }}
    where post_id in (select posts.post_id from posts)

),

-- A post nobody acted on has no counters: the join gives it zeros.
cards as (

    select
        posts.post_id as post_id,
        posts.author_id as author_id,
        posts.created_at as created_at,
        counters.likes as likes,
        counters.comments as comments,
        counters.shares as shares,
        counters.exposures as exposures,
        counters.dwell_ms as dwell_ms_sum

    from posts
    left join counters on posts.post_id = counters.post_id

)

select
    post_id,
    author_id,
    created_at,
    likes,
    comments,
    shares,
    exposures,
    dwell_ms_sum,
    log1p(
        {{ post_engagement_points('likes', 'comments', 'shares') }} / greatest(1, exposures)
    ) as engagement
from cards
