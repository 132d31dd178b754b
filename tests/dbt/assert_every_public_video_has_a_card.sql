-- Fails with the videos that are public and on no card. What was published in the last minutes may
-- still be waiting for its first refresh.
select videos.video_id as video_id
from {{ ref('stg_raw__videos') }} as videos
left anti join {{ ref('reel_cards') }} as cards on videos.video_id = cards.video_id
where videos.published_at < {{ run_at() }} - toIntervalMinute(10)
