-- Whether the other one still blocks the viewer decides if the two see each other again.
select
    made.blocked,
    made.txid,
    made.changed,
    exists(
        select 1
        from app.blocks
        where
            blocks.blocker_id = %(user_id)s::bigint
            and blocks.blocked_id = %(viewer_id)s::bigint
            and not blocks.deleted
    ) as is_blocked_by_user
from app.unblock_user(%(viewer_id)s::bigint, %(user_id)s::bigint) as made
