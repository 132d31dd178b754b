-- What reels show beside their place in a ranking, while Postgres cannot say: as of the last
-- refresh.
select
    video_id,
    title,
    duration_ms / 1000 as duration_seconds,
    completion_rate,
    created_at,
    thumbnail_url,
    view_count,
    like_count,
    share_count,
    comment_count
from nova.reel_cards
where video_id in {video_ids:Array(UInt64)}
