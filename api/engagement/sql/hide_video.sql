select
    hidden,
    txid,
    changed
from app.hide_video(%(viewer_id)s::bigint, %(item_id)s::bigint)
