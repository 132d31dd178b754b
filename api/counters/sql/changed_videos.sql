-- The counters of videos whose last change is settled and lies after a place and before a
-- transaction, in the order of their changes. A place is a transaction and an item in it.
select
    'video' as item_type,
    video_id as item_id,
    _version as version,
    views,
    likes,
    shares,
    comments,
    0 as exposures,
    0 as dwell_ms,
    _txid as txid
from app.settled_video_engagement
where
    (_txid, video_id) > (%(after_txid)s, %(after_id)s)
    and _txid < %(before_txid)s
order by
    _txid,
    video_id
limit %(rows)s
