-- The videos this viewer must not be shown: seen in the last 30 days, not interested in, and those
-- this session was already shown.
select item_id as video_id
from {{ source('raw', 'user_watch_history') }}
where
    user_id = {{ viewer_id() }}
    and item_type = 'video'
    and watched_at > {{ as_of() }} - toIntervalDay({{ var('seen_window_days') }})

union all

select video_id
from {{ source('raw', 'not_interested_current') }}
where user_id = {{ viewer_id() }}

union all

select arrayJoin({{ shown() }}) as video_id
