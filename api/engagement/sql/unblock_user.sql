select
    blocked,
    is_hidden,
    hidden_txid,
    txid,
    changed
from app.unblock_user(%(viewer_id)s::bigint, %(user_id)s::bigint)
