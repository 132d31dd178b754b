-- In how many public videos a token is. A version that another replaces counts until they are
-- merged: what follows from it is a rarity, which does not notice.
{{ config(
    materialized='refreshed_table',
    refresh_seconds=var('search_statistics_refresh_seconds'),
    order_by='term',
    settings={'index_granularity': 1024},
) }}

with

documents as (

    select * from {{ source('raw', 'video_documents') }}

)

select
    arrayJoin(tokens) as term,
    count() as documents
from documents
where is_public
group by term
