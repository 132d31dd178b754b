-- Who blocked a viewer. The landing table is ordered by who blocks; this is the other direction.
{{ config(
    materialized='refreshed_table',
    refresh_seconds=var('trending_refresh_seconds'),
    order_by=['viewer_id', 'creator_id'],
    settings={'index_granularity': 128},
) }}

select
    blocked_id as viewer_id,
    blocker_id as creator_id
from {{ source('raw', 'blocks_current') }}
