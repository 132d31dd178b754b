-- Every public post of the window, next to the others of its author, newest first: one short read
-- per author. Parts are compact and blocks small, because many authors are many places to seek.
{{ config(
    materialized='refreshed_table',
    refresh_seconds=var('post_refresh_seconds'),
    refresh_after_landing=true,
    refresh_after=['post_cards'],
    order_by=['author_id', 'recency_rank'],
    settings={
        'index_granularity': 32,
        'min_bytes_for_wide_part': 1099511627776,
        'add_minmax_index_for_temporal_columns': 1,
    },
) }}

select
    author_id,
    created_at,
    post_id,
    engagement,
    {{ post_card() }} as card,
    toUInt32(
        row_number() over (
            partition by author_id
            order by
                created_at desc,
                post_id desc
        )
    ) as recency_rank
from {{ ref('post_cards') }}
