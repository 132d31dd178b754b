-- embeddings_served in memory: of a ranking's thousand candidates it says in a millisecond how near
-- they are.
{{ config(
    materialized='loaded_dictionary',
    refresh_seconds=60,
    refresh_after=['embeddings_served'],
    key=['vector_key'],
) }}

select
    vector_key,
    vector,
    ids
from {{ ref('embeddings_served') }}
