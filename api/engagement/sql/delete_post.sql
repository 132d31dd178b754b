select
    follower_ids,
    txid,
    changed
from app.delete_post(%(viewer_id)s::bigint, %(item_id)s::bigint)
