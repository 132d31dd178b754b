-- As similar videos are found: the index finds 200, exact distances rank.
with

found as (

    select video_id
    from raw.video_embeddings_64
    where model_version = {model_version:String}
    order by cosineDistance(embedding, {reference:Array(Float32)})
    limit 200

),

nearest as (

    select video_id
    from raw.video_embeddings
    where
        model_version = {model_version:String}
        and video_id in (select found.video_id from found)
    order by cosineDistance(embedding, {reference:Array(Float32)})
    limit 10

)

select groupArray(video_id) as video_ids
from nearest
