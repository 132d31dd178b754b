-- Whom the viewer blocked, and who blocked the viewer, as far as it has landed.
select id as creator_id
from raw.viewer_facts
where
    viewer_id = {viewer_id:UInt64}
    and list in ('blocked', 'blocked_by')
group by
    list,
    id
having bitAnd(max(stands), 1) = 1
