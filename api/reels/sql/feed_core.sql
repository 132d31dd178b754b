-- A viewer's ranking at an instant as `feed` has it, best first, when its sources make a page
-- without being filled; fewer rows say that they do not.
select
    video_id,
    creator_id,
    score_ppm,
    score_ppm / 1000000 as ranking_score,
    source
from
    nova.feed__reels_core(
        viewer_id = {viewer_id:UInt64},
        as_of = {as_of:DateTime64(3, 'UTC')},
        variant = {variant:String}
    )
order by position
