select
    following,
    follower_count,
    txid,
    changed
from app.follow_user(%(viewer_id)s::bigint, %(user_id)s::bigint)
