-- Where a viewer is: the sum of what they watched, each video being the sum of the random signs of
-- who watched it. Signs come from a hash of the viewer, so the space is the same at every refresh.
-- docs/ranking.md has the formula, and whose it is.
{{ config(
    materialized='refreshed_table',
    refresh_seconds=var('embedding_refresh_seconds'),
    refresh_after=['emb_viewer_video__watched'],
    order_by='viewer_id',
) }}

with

-- Divided by the root of the video's viewers twice: once here, once as it is added up below.
videos as (

    select
        video_id,
        arrayMap(
            total -> toFloat32(total / any(video_viewers)),
            sumForEach(
                arrayMap(sign -> sign / sqrt(viewer_videos), {{ random_signs('viewer_id') }})
            )
        ) as vector

    from {{ ref('emb_viewer_video__watched') }}
    group by video_id

)

select
    watched.viewer_id as viewer_id,
    arrayMap(
        total -> toFloat32(total / sqrt(any(watched.viewer_videos))), -- noqa: RF02
        sumForEach(videos.vector)
    ) as vector
from {{ ref('emb_viewer_video__watched') }} as watched
inner join videos on watched.video_id = videos.video_id
group by viewer_id
settings max_threads = 1
