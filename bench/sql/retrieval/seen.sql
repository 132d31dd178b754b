-- What some viewers were shown or saw before.
select
    user_id as viewer_id,
    groupUniqArray(item_id) as video_ids
from raw.events
where
    item_type = 'video'
    and user_id in {viewers:Array(UInt64)}
group by viewer_id
