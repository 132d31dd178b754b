select
    blocked,
    is_hidden,
    hidden_txid,
    txid,
    changed
from app.block_user(%(viewer_id)s::bigint, %(user_id)s::bigint)
