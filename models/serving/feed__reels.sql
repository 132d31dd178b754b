-- feed__reels(viewer_id, as_of, variant): the first snapshot of a session. Nothing was shown yet.
{{ config(materialized='parameterized_view') }}

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
from {{ ref('feed__reels_after') }}(
    viewer_id = {{ viewer_id() }},
    as_of = {{ as_of() }},
    variant = {{ variant() }},
    shown = []
)
