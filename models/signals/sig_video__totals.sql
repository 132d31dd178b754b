-- What each video earned in the 90 days of the rollup, counted whole, and seldom: tens of millions
-- of hours. sig_video__quality counts anew what has changed since. On one thread:
-- nobody waits for it, and pages need the other cores.
{{ config(
    materialized='refreshed_table',
    refresh_seconds=var('video_totals_refresh_seconds'),
    order_by='video_id',
    settings={'index_granularity': 8192},
) }}

select
    video_id,
    sum(views) as views,
    sum(completions) as completions,
    sum(known_completions) as known_completions,
    sum(likes) as likes,
    sum(shares) as shares,
    sum(comments) as comments,
    {{ run_at() }} as counted_at
from {{ source('raw', 'video_ranking_signals_1h') }}
group by video_id
settings max_threads = 1
