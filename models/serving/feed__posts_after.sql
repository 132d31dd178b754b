-- feed__posts_after(viewer_id, as_of, variant, shown): the same without the posts this session was
-- already shown. `shown` is in the order they were shown: saturation goes on from its last places.
{{ config(
    materialized='parameterized_view',
    inline_views=[
        'sig_viewer_author__affinity',
        'raw.follows_current',
        'raw.blocks_current',
        'raw.not_interested_posts_current',
    ],
) }}

select
    position,
    post_id,
    author_id,
    score_ppm,
    source,
    created_at,
    likes,
    comments,
    shares,
    exposures,
    dwell_ms_sum
from {{ ref('rank_viewer_post__posts') }}
