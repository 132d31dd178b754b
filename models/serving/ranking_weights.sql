-- The weights the serving views read. A copy of the seed that is made only after the seed's tests
-- passed (`dbt build` stops before it otherwise), and exchanged atomically.
{{ config(
    materialized='table',
    order_by='variant',
) }}

select
    variant,
    weight_freshness,
    weight_completion,
    weight_engagement,
    weight_affinity,
    weight_deep_model
from {{ ref('variants') }}
