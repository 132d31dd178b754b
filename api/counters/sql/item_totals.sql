-- The counters of some items of one type, as they are now, with the transaction that wrote them;
-- zeros where nobody has acted.
select
    item_type,
    item_id,
    version,
    views,
    likes,
    shares,
    comments,
    exposures,
    dwell_ms,
    txid
from app.item_totals(%(item_type)s, %(item_ids)s::bigint[])
