-- A viewer's whole ranking at an instant, best first. Rules and weights are the view's.
select
    video_id,
    creator_id,
    score_ppm,
    score_ppm / 1000000 as ranking_score,
    source
from
    nova.feed__reels(
        viewer_id = {viewer_id:UInt64},
        as_of = {as_of:DateTime64(3, 'UTC')},
        variant = {variant:String}
    )
order by position
