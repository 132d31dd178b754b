-- The weights the posts' serving views read: of post_variants what ranking_weights is of variants.
{{ config(
    materialized='table',
    order_by='variant',
) }}

select
    variant,
    weight_freshness,
    weight_engagement,
    weight_affinity
from {{ ref('post_variants') }}
