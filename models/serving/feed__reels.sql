-- feed__reels(viewer_ids, as_of, variants, shown): the ranked reels of some viewers as they stood
-- at `as_of`, one row per viewer and place. The i-th viewer is ranked by the i-th variant, and
-- without the i-th list of videos, which their session was shown, in the order they were shown.
{{ config(materialized='parameterized_view') }}

select
    viewer_id,
    position,
    video_id,
    creator_id,
    score_ppm,
    source
from {{ ref('rank_viewer_video__reels') }}
