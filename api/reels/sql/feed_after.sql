-- What follows in a viewer's ranking at an instant once these items were shown, best first.
select
    video_id,
    creator_id,
    score_ppm,
    score_ppm / 1000000 as ranking_score,
    source
from
    nova.feed__reels_after(
        viewer_id = {viewer_id:UInt64},
        as_of = {as_of:DateTime64(3, 'UTC')},
        variant = {variant:String},
        shown = {shown:Array(UInt64)}
    )
order by position
