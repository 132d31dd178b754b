-- Where a video is, by the version of embeddings that is served; no row when nobody knows.
select
    model_version,
    argMax(embedding, generated_at) as embedding
from raw.video_embeddings
where
    model_version = (
        select argMax(models.model_version, models.activated_at)
        from raw.deep_recall_models_current as models
        where models.active
    )
    and video_id = {video_id:UInt64}
group by model_version
