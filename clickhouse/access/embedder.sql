-- The embedding and the mirroring worker: read what a model is told of videos, write what it says
-- of them. The view of that looks rates up in a dictionary.
create role if not exists nova_embedder;

grant select on raw.videos to nova_embedder;

grant select on raw.videos_current to nova_embedder;

grant select on nova.video_features to nova_embedder;

grant -- noqa: PRS
dictGet on nova.dict_video_signals to nova_embedder;

grant select, insert on raw.video_embeddings to nova_embedder;

grant select on raw.video_embeddings_current to nova_embedder;
