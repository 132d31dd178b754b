-- feed__reels_core(viewer_id, as_of, variant): what feed__reels ranks when
-- its sources give a page or more, without what it would be filled with otherwise; cheaper to plan.
-- A list shorter than `fill_below_videos` is to be asked of the other view.
{{ config(
    materialized='parameterized_view',
    inline_views=[
        'sig_viewer_creator__affinity',
        'raw.follows_current',
        'raw.blocks_current',
        'raw.not_interested_current',
    ],
    in_place_of={'cand_viewer_video__reels': 'cand_viewer_video__core'},
    bind={'shown': 'emptyArrayUInt64()'},
) }}
-- depends_on: {{ ref('cand_viewer_video__core') }}

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
