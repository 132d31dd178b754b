-- search__reels(what search__terms says, viewer_id, creator_ids, categories, published_from,
-- published_until): the videos that answer a query. Best first is by relevance, then time, then id;
-- the API cuts its pages from that.
{{ config(materialized='parameterized_view') }}

with

scored as (

    select * from {{ ref('score_query_video__relevance') }}

),

-- A version that stands is the one of the public video; of a deleted one there is none. It may have
-- landed twice.
standing as (

    select distinct
        video_id,
        creator_id,
        published_at,
        toUInt64(round(1000000 * relevance)) as relevance_ppm

    from scored
    where
        version = {{ lookup(ref('dict_video_signals'), 'version', 'video_id', keys='video_id') }}

)

select
    video_id,
    creator_id,
    published_at,
    relevance_ppm
from standing
where
    creator_id not in (
        select facts.id
        from {{ source('raw', 'viewer_facts') }} as facts
        where
            facts.viewer_id = {{ viewer_id() }}
            and facts.list in ('blocked', 'blocked_by')
        group by
            facts.list,
            facts.id
        having bitAnd(max(facts.stands), 1) = 1
    )
