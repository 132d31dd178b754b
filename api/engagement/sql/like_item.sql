select
    like_count,
    liked,
    txid,
    changed
from app.like_item(%(viewer_id)s::bigint, %(item_type)s, %(item_id)s::bigint)
