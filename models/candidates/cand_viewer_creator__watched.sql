-- The creators the viewer watched most, and how much each weighs: the tenth view says less than the
-- first.
select
    author_id as creator_id,
    log(1 + sum(views)) as weight
from {{ source('raw', 'user_author_90d') }}
where
    user_id = {{ viewer_id() }}
    and day > toDate({{ run_at() }}) - {{ var('co_watch_window_days') }}
group by author_id
having sum(views) > 0
order by
    weight desc,
    creator_id desc
limit {{ var('discovery_watched_creators') }}
