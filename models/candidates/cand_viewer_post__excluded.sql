-- The posts this viewer must not be shown: seen in the last 30 days, not interested in, and those
-- this session was already shown.
select item_id as post_id
from {{ source('raw', 'user_watch_history') }}
where
    user_id = {{ viewer_id() }}
    and item_type = 'post'
    and watched_at > {{ as_of() }} - toIntervalDay({{ var('seen_window_days') }})

union all

select post_id
from {{ source('raw', 'not_interested_posts_current') }}
where user_id = {{ viewer_id() }}

union all

select arrayJoin({{ shown() }}) as post_id
