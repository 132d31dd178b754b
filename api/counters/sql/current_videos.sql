-- The counters of some videos as they are now, with the transaction that wrote them; nothing for
-- those nobody has acted on.
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
from app.video_engagement
where video_id = any(%(item_ids)s)
