-- Every public video in the order of publication: read backwards until enough are found.
{{ config(
    materialized='refreshed_table',
    refresh_seconds=var('video_refresh_seconds'),
    refresh_after_landing=true,
    refresh_after=['reel_cards'],
    order_by=['published_at', 'video_id'],
    settings={'index_granularity': 128, 'min_bytes_for_wide_part': 1099511627776},
) }}

select
    published_at,
    video_id,
    creator_id,
    completion,
    engagement,
    {{ reel_card() }} as card
from {{ ref('reel_cards') }}
