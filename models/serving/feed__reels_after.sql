-- feed__reels_after(viewer_id, as_of, variant, shown): the same without the videos this session was
-- already shown. `shown` is in the order they were shown: saturation goes on from its last places.
{{ config(
    materialized='parameterized_view',
    inline_views=[
        'sig_viewer_creator__affinity',
        'raw.follows_current',
        'raw.blocks_current',
        'raw.not_interested_current',
    ],
) }}

select
    position,
    video_id,
    creator_id,
    score_ppm,
    source,
    title,
    duration_ms,
    view_count,
    like_count,
    share_count,
    comment_count,
    completion_rate,
    thumbnail_url,
    created_at
from {{ ref('rank_viewer_video__reels') }}
