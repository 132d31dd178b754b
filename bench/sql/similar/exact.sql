-- The ten nearest, by comparing with all.
select groupArray(video_id) as video_ids
from (
    select video_id
    from raw.video_embeddings
    where model_version = {model_version:String}
    order by cosineDistance(embedding, {reference:Array(Float32)})
    limit 10
) as nearest
