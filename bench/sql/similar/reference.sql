-- The vector of a video.
select any(embedding) as embedding
from raw.video_embeddings
where model_version = {model_version:String} and video_id = {video_id:UInt64}
