-- Words that are in some video, by what is left of them without one of their characters.
{{ config(
    materialized='refreshed_table',
    refresh_seconds=var('search_statistics_refresh_seconds'),
    refresh_after=['sig_term__documents'],
    order_by='spelling',
    settings={'index_granularity': 128},
) }}

with

terms as (

    select * from {{ ref('sig_term__documents') }}

)

select
    arrayJoin({{ spellings('term') }}) as spelling,
    term,
    documents
from terms
