-- Embeddings that need no model server: where a video is by who watched it, and the less is known
-- of that, by what it has in common with others. Only what changed since is computed: videos
-- without one, those with new views, and any whose embedding is a day old.
{{ config(
    materialized='appended_on_schedule',
    refresh_seconds=var('embedding_refresh_seconds'),
    refresh_after=['emb_content__mean'],
    append_to='raw.video_embeddings',
) }}

with

computed as (

    select
        video_id,
        max(generated_at) as generated_at

    from {{ source('raw', 'video_embeddings') }}
    where model_version = '{{ var("embedding_model_version") }}'
    group by video_id

),

changed as (

    select video_id
    from {{ source('raw', 'video_changes_1m') }}
    where at_minute > {{ run_at() }} - toIntervalSecond(2 * {{ var('embedding_refresh_seconds') }})

),

due as (

    select
        videos.video_id as video_id,
        videos.content_keys as content_keys

    from {{ ref('emb_video__content') }} as videos
    left join computed on videos.video_id = computed.video_id
    where
        computed.generated_at < {{ run_at() }} - toIntervalHour({{ var('embedding_age_hours') }})
        or videos.video_id in (select changed.video_id from changed)
    order by computed.generated_at
    limit {{ var('embedding_refresh_videos') }}

),

by_content as (

    select
        due.video_id as video_id,
        L2Normalize(sumForEach(contents.vector)) as vector

    from (
        select
            due.video_id as video_id,
            arrayJoin(due.content_keys) as content_key
        from due
    ) as due
    inner join {{ ref('emb_content__mean') }} as contents on due.content_key = contents.content_key
    group by video_id

),

by_viewers as (

    select
        video_id,
        viewers,
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
    where video_id in (select due.video_id from due)

),

-- A join without a match gives no vector and no viewers: zeros, of the length it has to have.
blended as (

    select
        due.video_id as video_id,
        arrayMap(
            (by_viewers, by_content) -> toFloat32( -- noqa: RF02
                ( -- noqa: RF02
                    by_viewers * viewers.viewers -- noqa: RF02
                    + by_content * {{ var('embedding_content_viewers') }} -- noqa: RF02
                )
                / (viewers.viewers + {{ var('embedding_content_viewers') }})
            ),
            arrayResize(viewers.vector, 64, 0),
            arrayResize(content.vector, 64, 0)
        ) as embedding

    from due
    left join by_viewers as viewers on due.video_id = viewers.video_id
    left join by_content as content on due.video_id = content.video_id

)

select
    '{{ var("embedding_model_version") }}' as model_version,
    video_id,
    embedding,
    {{ run_at() }} as generated_at
from blended
where
    not arrayExists(value -> not isFinite(value), embedding)
    and arrayExists(value -> value != 0, embedding)
settings max_threads = 1
