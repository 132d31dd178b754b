-- Where a video is by who watched it: the sum of its viewers.
{{ config(
    materialized='refreshed_table',
    refresh_seconds=var('embedding_refresh_seconds'),
    refresh_after=['emb_viewer__signature'],
    order_by='video_id',
) }}

select
    watched.video_id as video_id,
    any(watched.video_viewers) as viewers,
    arrayMap(
        total -> toFloat32(total / sqrt(any(watched.video_viewers))), -- noqa: RF02
        sumForEach(
            arrayMap(
                value -> value / sqrt(watched.viewer_videos), -- noqa: RF02
                signatures.vector
            )
        )
    ) as vector
from {{ ref('emb_viewer_video__watched') }} as watched
inner join {{ ref('emb_viewer__signature') }} as signatures
    on watched.viewer_id = signatures.viewer_id
group by video_id
settings max_threads = 1
