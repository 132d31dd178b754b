-- The counters of some posts as they are now, with the transaction that wrote them; nothing for
-- those nobody has acted on.
select
    'post' as item_type,
    post_id as item_id,
    _version as version,
    views,
    likes,
    shares,
    comments,
    exposures,
    dwell_ms,
    _txid as txid
from app.post_engagement
where post_id = any(%(item_ids)s)
