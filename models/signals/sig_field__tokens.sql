-- How long a title is, hashtags are, a description is, on average of public videos.
{{ config(
    materialized='refreshed_table',
    refresh_seconds=var('search_statistics_refresh_seconds'),
    order_by='field',
) }}

with

documents as (

    select * from {{ source('raw', 'video_documents') }}

),

totals as (

    select
        count() as documents,
        [
            ('title', sum(arraySum(one -> {{ times_in('title', 'one') }}, occurrences))),
            ('hashtags', sum(arraySum(one -> {{ times_in('hashtags', 'one') }}, occurrences))),
            ('description', sum(arraySum(one -> {{ times_in('description', 'one') }}, occurrences)))
        ] as sums

    from documents
    where is_public

)

-- A field nobody fills has the length 1: it is divided by.
select
    counted.1 as field,
    documents,
    if(counted.2 = 0, 1, counted.2 / documents) as tokens_per_document
from totals
array join sums as counted
