-- How much the same viewers watch two creators: the cosine of their viewers, pulled to 0 while they
-- have few in common. Of each viewer only the creators watched most count, and of very many viewers
-- an even sample, so the number of pairs has a bound whatever happens.
{{ config(
    materialized='refreshed_table',
    refresh_seconds=var('co_watch_refresh_seconds'),
    order_by=['creator_id', 'similarity_rank'],
    settings={'index_granularity': 64, 'min_bytes_for_wide_part': 1099511627776},
) }}

with

watched as (

    select
        user_id as viewer_id,
        author_id as creator_id,
        sum(views) as plays

    from {{ source('raw', 'user_author_90d') }}
    where
        day > toDate({{ run_at() }}) - {{ var('co_watch_window_days') }}
        and author_id in (select cards.creator_id from {{ ref('video_signals') }} as cards)
        and author_id not in (select gone.user_id from {{ source('raw', 'users_deleted') }} as gone)
    group by
        viewer_id,
        creator_id
    having plays > 0

),

-- Those with the smallest hashes.
sampled as (

    select viewer_id
    from watched
    group by viewer_id
    order by sipHash64(viewer_id)
    limit {{ var('co_watch_viewers') }}

),

favourites as (

    select
        viewer_id,
        creator_id

    from watched
    where viewer_id in (select sampled.viewer_id from sampled)
    order by
        plays desc,
        creator_id desc
    limit {{ var('co_watch_per_viewer_creators') }} by viewer_id

),

audiences as (

    select
        creator_id,
        count(*) as viewers

    from favourites
    group by creator_id

),

lists as (

    select groupArray(creator_id) as creators
    from favourites
    group by viewer_id

),

firsts as (

    select
        creators,
        arrayJoin(creators) as creator_id
    from lists

),

pairs as (

    select
        creator_id,
        arrayJoin(creators) as similar_creator_id,
        count(*) as viewers

    from firsts
    where creator_id != similar_creator_id
    group by
        creator_id,
        similar_creator_id
    having viewers >= {{ var('co_watch_least_viewers') }}

),

similarities as (

    select
        pairs.creator_id as creator_id,
        pairs.similar_creator_id as similar_creator_id,
        pairs.viewers / sqrt(one.viewers * other.viewers)
        * pairs.viewers / (pairs.viewers + {{ var('co_watch_prior_viewers') }}) as similarity

    from pairs
    inner join audiences as one on pairs.creator_id = one.creator_id
    inner join audiences as other on pairs.similar_creator_id = other.creator_id

),

ranked as (

    select
        creator_id,
        similar_creator_id,
        similarity,
        row_number() over (
            partition by creator_id
            order by
                similarity desc,
                similar_creator_id desc
        ) as similarity_rank

    from similarities

)

select
    creator_id,
    similar_creator_id,
    similarity,
    toUInt32(similarity_rank) as similarity_rank
from ranked
where similarity_rank <= {{ var('co_watch_similar_creators') }}
