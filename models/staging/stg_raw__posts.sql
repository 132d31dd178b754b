-- One row per public post of the window a feed looks back on. Older posts are an archive: nothing
-- that is refreshed all the time may grow with it.
select
    ---------- keys
    post_id,
    author_id,

    ---------- times
    created_at
from {{ source('raw', 'posts_current') }}
where created_at > {{ run_at() }} - toIntervalDay({{ var('post_window_days') }})
