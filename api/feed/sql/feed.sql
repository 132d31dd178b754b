-- A viewer's whole ranking at an instant, best first. Rules and weights are the view's.
select
    post_id,
    author_id,
    score_ppm,
    source,
    created_at,
    likes,
    comments,
    shares,
    exposures,
    dwell_ms_sum,
    score_ppm / 1000000 as score
from
    nova.feed__posts(
        viewer_id = {viewer_id:UInt64},
        as_of = {as_of:DateTime64(3, 'UTC')},
        variant = {variant:String}
    )
order by position
