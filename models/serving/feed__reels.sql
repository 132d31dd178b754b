-- feed__reels(viewer_id, as_of, variant): a viewer's ranked reels as they stood at `as_of`, one row
-- per place; the first list of a session.
{{ config(
    materialized='parameterized_view',
    inline_views=[
        'sig_viewer_creator__affinity',
        'raw.follows_current',
        'raw.blocks_current',
        'raw.not_interested_current',
    ],
    bind={'shown': 'emptyArrayUInt64()'},
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
