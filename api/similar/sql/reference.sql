-- Where a video is, by the version of embeddings that is served; no row when nobody knows.
select
    model_version,
    argMax(embedding, generated_at) as embedding
from raw.video_embeddings
where
    model_version = (
        select argMax(versions.model_version, versions.activated_at)
        from raw.deep_recall_models_current as versions
        where versions.active -- noqa: RF04
    )
    and video_id = {video_id:UInt64}
group by model_version
