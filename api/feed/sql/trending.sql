-- The top of a window's chart. The score is what it was ranked by: accounts, by the points of what
-- they did.
select
    post_id,
    author_id,
    created_at,
    points as score,
    counted_at,
    likes,
    comments,
    shares,
    exposures,
    dwell_ms_sum,
    rank
from nova.chart__posts(chart_window = {window:String}, places = {limit:UInt32})
order by rank
