-- Item-item cosine: videos whose viewers are those of what a viewer watched, without what they
-- watched, best first.
with

watched as (

    select
        viewer_id,
        video_id,
        video_viewers

    from nova.emb_viewer_video__watched

),

asked as (

    select
        viewer_id,
        video_id

    from watched
    where viewer_id in {viewers:Array(UInt64)}

),

similarities as (

    select
        one.video_id as video_id,
        other.video_id as similar_id,
        count() / sqrt(any(one.video_viewers) * any(other.video_viewers)) as similarity

    from watched as one
    inner join watched as other on one.viewer_id = other.viewer_id
    where
        one.video_id in (select asked.video_id from asked)
        and one.video_id != other.video_id
    group by
        video_id,
        similar_id

),

scored as (

    select
        asked.viewer_id as viewer_id,
        similarities.similar_id as video_id,
        sum(similarities.similarity) as score

    from asked
    inner join similarities on asked.video_id = similarities.video_id
    group by
        viewer_id,
        video_id

)

select
    viewer_id,
    groupArray(video_id) as video_ids
from (
    select
        viewer_id,
        video_id
    from scored
    order by
        viewer_id asc,
        score desc
    limit 500 by viewer_id
) as ranked
group by viewer_id
