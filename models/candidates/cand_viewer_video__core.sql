-- The videos a viewer may be shown, each once, under the strongest of its sources: 1 followee,
-- 2 trending, 3 affinity. What cand_viewer_video__reels finds when these are a page or more, and
-- cheaper to plan.
with

{{ reel_sources() }}

select
    video_id,
    creator_id,
    published_at,
    completion,
    engagement,
    -- No embeddings yet. Null is "not there", which is not 0: its weight goes to the others.
    cast(null, 'Nullable(Float64)') as deep_model,
    card,
    source_rank
from core
where
    {{ may_be_shown() }}
order by source_rank
limit 1 by video_id
