-- The top of a chart of growing users: what is left to show when a viewer's own list is not known.
select
    user_id,
    if(gained > 0, ['growing'], ['popular']) as reasons,
    emptyArrayUInt64() as related_ids,
    0 as shared_follows,
    0 as closeness,
    gained as followers_gained,
    0 as score
from nova.growing_users
where chart = {chart:String}
order by rank
limit {limit:UInt16}
