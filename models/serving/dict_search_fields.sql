-- sig_field__tokens in memory.
{{ config(
    materialized='loaded_dictionary',
    refresh_seconds=var('search_statistics_refresh_seconds'),
    key=['field'],
) }}

select
    field,
    documents,
    tokens_per_document
from {{ ref('sig_field__tokens') }}
