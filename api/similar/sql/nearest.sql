-- The public videos nearest to a vector. The index finds, exact distances rank: it may hold what a
-- video was before. `reference` is filled up with zeros as the vectors of the index are. With
-- `video_ids`, found elsewhere, only those are ranked; then the index is the table itself.
with

found as (

    select video_id
    from raw.{index:Identifier} -- noqa: PRS
    where
        model_version = {model_version:String}
        and (empty({video_ids:Array(UInt64)}) or video_id in {video_ids:Array(UInt64)})
    order by cosineDistance(embedding, {reference:Array(Float32)})
    limit {candidates:UInt16}

),

current as (

    select
        video_id,
        argMax(embedding, generated_at) as embedding

    from raw.video_embeddings
    where
        model_version = {model_version:String}
        and video_id in (select found.video_id from found)
    group by video_id

)

select
    signals.video_id as video_id,
    signals.creator_id as creator_id,
    -- From -1 to 1, mapped to 0 to 1.
    greatest(
        0,
        1 - cosineDistance(
            arrayResize(
                current.embedding,
                length({reference:Array(Float32)}), -- noqa: RF02
                toFloat32(0)
            ),
            {reference:Array(Float32)} -- noqa: RF02
        ) / 2
    ) as similarity
from current
inner join nova.video_signals as signals on current.video_id = signals.video_id
where
    signals.video_id != {video_id:UInt64}
    and signals.published_at <= now64(3)
order by
    similarity desc,
    video_id desc
limit {places:UInt16}
