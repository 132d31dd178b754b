-- Every public video, next to the others of its creator: one short read per creator.
{{ config(
    materialized='refreshed_table',
    refresh_seconds=var('video_refresh_seconds'),
    order_by=['creator_id', 'published_at', 'video_id'],
    settings={'index_granularity': 128},
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
