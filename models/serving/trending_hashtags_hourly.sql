-- The charts of hashtags: whose use grew most in the last 24 hours, in all and per category. A use
-- is a video published with it, in any spelling; the most common one is shown.
{{ config(
    materialized='refreshed_table',
    refresh_seconds=var('trending_uses_refresh_seconds'),
    order_by=['category', 'rank'],
    settings={'index_granularity': 128},
) }}

with

uses as (

    select * from {{ ref('cand_video_hashtag__uses') }}

)

select
    category,
    rank,
    item as folded_hashtag,
    name as hashtag,
    usage_count as post_count,
    creators,
    expected_creators,
    growth,
    video_samples,
    {{ run_at() }} as counted_at
from {{ chart_of_uses('uses') }}
