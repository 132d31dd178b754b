-- ranking_weights in memory.
{{ config(
    materialized='loaded_dictionary',
    refresh_seconds=60,
    key=['variant'],
) }}

select
    variant,
    weight_freshness,
    weight_completion,
    weight_engagement,
    weight_affinity,
    weight_deep_model
from {{ ref('ranking_weights') }}
