-- Who watched something last, the latest first.
select user_id
from raw.user_watch_history
where item_type = 'video'
group by user_id
order by
    max(watched_at) desc,
    user_id asc
limit {limit:UInt32}
