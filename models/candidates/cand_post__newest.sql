-- Every public post of the window, oldest first: read backwards until enough are found.
{{ config(
    materialized='refreshed_table',
    refresh_seconds=var('post_refresh_seconds'),
    refresh_after_landing=true,
    refresh_after=['post_cards'],
    order_by=['created_at', 'post_id'],
    settings={'index_granularity': 128, 'min_bytes_for_wide_part': 1099511627776},
) }}

select
    created_at,
    post_id,
    author_id,
    engagement,
    {{ post_card() }} as card
from {{ ref('post_cards') }}
