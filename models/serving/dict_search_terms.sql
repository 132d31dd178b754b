-- In how many videos a token is, in memory. Those that are in one are left out, as half of all are.
{{ config(
    materialized='loaded_dictionary',
    refresh_seconds=var('search_statistics_refresh_seconds'),
    key=['term'],
) }}

select
    term,
    documents
from {{ ref('sig_term__documents') }}
where documents > 1
