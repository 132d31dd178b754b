-- The next embeddings of a version by video, of those computed since.
select
    video_id,
    embedding,
    generated_at
from raw.video_embeddings_current
where
    model_version = {model_version:String}
    and video_id >= {from_id:UInt64}
    and generated_at > {since:DateTime64(3, 'UTC')}
order by video_id
limit {videos:UInt32}
