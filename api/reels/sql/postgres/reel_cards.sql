-- What reels show beside their place in a ranking, and their counters of now.
select
    video_id,
    title,
    duration_seconds,
    completion_rate,
    created_at,
    thumbnail_url,
    view_count,
    like_count,
    share_count,
    comment_count
from app.reel_cards(%(video_ids)s::bigint[]) -- noqa: PRS
