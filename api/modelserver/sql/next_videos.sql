-- The next videos by id, of those that landed lately or of all: where they begin, end and how many.
-- No join and no text, so that a walk through all of them reads two columns once.
with

next_ids as (

    select distinct video_id
    from raw.videos
    where
        video_id >= {from_id:UInt64}
        and landed_at >= {since:DateTime64(3, 'UTC')}
    order by video_id
    limit {videos:UInt32}

)

select
    min(video_id) as first_id,
    max(video_id) as last_id,
    count() as videos
from next_ids
