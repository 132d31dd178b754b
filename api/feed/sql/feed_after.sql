-- What follows in a viewer's ranking at an instant once these items were shown, best first.
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
    nova.feed__posts_after(
        viewer_id = {viewer_id:UInt64},
        as_of = {as_of:DateTime64(3, 'UTC')},
        variant = {variant:String},
        shown = {shown:Array(UInt64)}
    )
order by position
