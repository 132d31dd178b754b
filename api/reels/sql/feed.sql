-- Rankings of viewers at an instant, each without what that viewer was shown, best first. Rules and
-- weights are the view's. Of planning, which is what it costs, these two optimizations were an
-- eighth, and had nothing to improve.
select
    video_id,
    creator_id,
    score_ppm,
    score_ppm / 1000000 as ranking_score,
    source,
    viewer_id
from
    nova.feed__reels(
        viewer_ids = {viewer_ids:Array(UInt64)},
        as_of = {as_of:DateTime64(3, 'UTC')},
        variants = {variants:Array(String)},
        shown = {shown:Array(Array(UInt64))}
    )
order by
    viewer_id,
    position
settings query_plan_merge_expressions = 0, query_plan_remove_unused_columns = 0
