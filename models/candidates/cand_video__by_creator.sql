-- Every public video, next to the others of its creator, newest first: one short read per creator.
-- Compact parts keep the columns of a key together, else 200 creators were 3,000 seeks; the minmax
-- index ends the read of a creator with a long past where a feed's window ends.
{{ config(
    materialized='refreshed_table',
    refresh_seconds=var('video_refresh_seconds'),
    refresh_after_landing=true,
    refresh_after=['reel_cards'],
    order_by=['creator_id', 'recency_rank'],
    settings={
        'index_granularity': 32,
        'min_bytes_for_wide_part': 1099511627776,
        'add_minmax_index_for_temporal_columns': 1,
    },
) }}

select
    creator_id,
    published_at,
    video_id,
    completion,
    engagement,
    {{ reel_card() }} as card,
    toUInt32(
        row_number() over (
            partition by creator_id
            order by
                published_at desc,
                video_id desc
        )
    ) as recency_rank
from {{ ref('reel_cards') }}
