-- A viewer's timeline at an instant without some posts: the rules are the function's.
--
-- The height is what it sorts by, in 32 bits: whether a post is no mere fill, then the second it is
-- of, counted from 2000.
select
    post_id,
    author_id,
    source,
    created_at,
    likes,
    comments,
    shares,
    exposures,
    dwell_ms_sum,
    case when source = 'fill_newest' then 0 else 2147483648 end
    + least(
        greatest(extract(epoch from created_at - timestamptz '2000-01-01 00:00:00+00'), 0),
        2147483647
    )::bigint as height
from
    app.timeline_posts(
        %(viewer_id)s, %(trending_ids)s::bigint[], %(shown)s::bigint[], %(as_of)s, %(posts)s
    )
order by place
