-- How many videos a version has an embedding of (count).
select uniqExact(video_id) as videos
from raw.video_embeddings
where model_version = {model_version:String}
