-- In how many videos a token is, in memory: what is not there is a word that nobody wrote.
{{ config(
    materialized='loaded_dictionary',
    refresh_seconds=var('search_statistics_refresh_seconds'),
    key=['term'],
) }}

select
    term,
    documents
from {{ ref('sig_term__documents') }}
