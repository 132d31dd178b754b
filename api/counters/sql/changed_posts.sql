-- The counters of posts whose last change is settled and lies after a place and before a
-- transaction, in the order of their changes. A place is a transaction and an item in it.
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
from app.settled_post_engagement
where
    (_txid, post_id) > (%(after_txid)s, %(after_id)s)
    and _txid < %(before_txid)s
order by
    _txid,
    post_id
limit %(rows)s
