-- One row per viewer of a range of ids and thing on the lists that are counted from events: as the
-- rollups just made say, of which there are no events.
insert into raw.viewer_facts (
    viewer_id,
    list,
    id,
    day,
    seen_at,
    likes,
    comments
)
select
    user_id as viewer_id,
    'seen_video' as list,
    item_id as id,
    toDate(0) as day,
    watched_at as seen_at,
    0 as likes,
    0 as comments
from raw.user_watch_history
where
    user_id >= {from_id:UInt64}
    and user_id < {to_id:UInt64}

union all

select
    user_id as viewer_id,
    'reacted_creator' as list,
    author_id as id,
    day,
    toDateTime(0, 'UTC') as seen_at,
    likes,
    comments
from raw.user_author_90d
where
    user_id >= {from_id:UInt64}
    and user_id < {to_id:UInt64}
