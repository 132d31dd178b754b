-- Of these creators those whom the viewer blocked, or who blocked the viewer.
select blocked_id as creator_id
from app.blocks
where
    blocker_id = %(viewer_id)s::bigint
    and blocked_id = any(%(creator_ids)s::bigint[])
    and not deleted
union
select blocker_id as creator_id
from app.blocks
where
    blocked_id = %(viewer_id)s::bigint
    and blocker_id = any(%(creator_ids)s::bigint[])
    and not deleted
