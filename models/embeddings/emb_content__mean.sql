-- Where videos of the same creator, sound, topic or hashtag are, on average: what is known of a
-- video nobody has watched. Pulled to nowhere while few are known; the mean of many different ones
-- is nowhere by itself.
{{ config(
    materialized='refreshed_table',
    refresh_seconds=var('embedding_refresh_seconds'),
    refresh_after=['emb_video__co_watch'],
    order_by='content_key',
) }}

with

-- Without what all videos share, which says nothing of any.
centred as (

    select
        video_id,
        L2Normalize(
            arrayMap(
                (value, mean) -> value - mean,
                vector,
                (
                    select avgForEach(everyone.vector)
                    from {{ ref('emb_video__co_watch') }} as everyone
                )
            )
        ) as vector

    from {{ ref('emb_video__co_watch') }}
    where viewers >= {{ var('embedding_content_least_viewers') }}

),

contents as (

    select
        video_id,
        arrayJoin(content_keys) as content_key
    from {{ ref('emb_video__content') }}

)

select
    contents.content_key as content_key,
    arrayMap(
        total -> toFloat32( -- noqa: RF02
            total / (count(*) + {{ var('embedding_content_prior_videos') }}) -- noqa: RF02
        ),
        sumForEach(centred.vector)
    ) as vector
from contents
inner join centred on contents.video_id = centred.video_id
group by content_key
settings max_threads = 1
