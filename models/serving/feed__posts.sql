-- feed__posts(viewer_id, as_of, variant): a viewer's ranked posts as they stood at `as_of`, one row
-- per place; the first list of a session.
{{ config(
    materialized='parameterized_view',
    inline_views=[
        'sig_viewer_author__affinity',
        'raw.follows_current',
        'raw.blocks_current',
        'raw.not_interested_posts_current',
    ],
    bind={'shown': 'emptyArrayUInt64()'},
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
