-- Where videos are in the space of a model, as computed by ClickHouse itself or by a model server,
-- and which version is served. A version's name ends with its dimensions (co_watch_v1-64d): a
-- vector of another length, or one without a direction, never gets in, whoever writes it.
create table if not exists raw.deep_recall_models ${on_cluster} (
    model_version String comment 'Version of embeddings, ends with its dimensions; key',
    provider LowCardinality(String) comment 'Who computes them: sql or tensorflow_serving',
    dimensions UInt16 comment 'Length of every vector of the version',
    active Bool comment 'Whether it is the version that is served',
    metrics String comment 'What was measured of it, as a JSON object',
    created_at DateTime64(3, 'UTC') comment 'When it was registered (UTC)',
    activated_at DateTime64(3, 'UTC') comment 'When last activated (UTC), 1970-01-01 for never',
    deleted Bool comment 'True when withdrawn; the row stays so that older versions lose',
    _txid UInt64 comment 'Postgres transaction that wrote this version; the change-capture cursor',
    _version UInt64 comment 'Grows with every write of one row; FINAL keeps the largest',
    landed_at DateTime64(3, 'UTC') default now64(3) comment 'When it was stored here (UTC)'
)
engine = ${replicated}ReplacingMergeTree(_version)
order by model_version
ttl toDateTime(landed_at) + interval 365 day delete
where deleted
settings -- noqa: PRS
    index_granularity = 256,
    min_age_to_force_merge_seconds = 604800
comment 'One row per version of embeddings and change of it. Read deep_recall_models_current.';

create view if not exists raw.deep_recall_models_current ${on_cluster} (
    model_version String comment 'Version of embeddings, ends with its dimensions; key',
    provider LowCardinality(String) comment 'Who computes them: sql or tensorflow_serving',
    dimensions UInt16 comment 'Length of every vector of the version',
    active Bool comment 'Whether it is the version that is served',
    metrics String comment 'What was measured of it, as a JSON object',
    created_at DateTime64(3, 'UTC') comment 'When it was registered (UTC)',
    activated_at DateTime64(3, 'UTC') comment 'When last activated (UTC), 1970-01-01 for never',
    _version UInt64 comment 'Grows with every write of one row; FINAL keeps the largest',
    landed_at DateTime64(3, 'UTC') comment 'When it was stored here (UTC)'
)
as
select
    model_version,
    provider,
    dimensions,
    active,
    metrics,
    created_at,
    activated_at,
    _version,
    landed_at
from raw.deep_recall_models final
where not deleted
comment 'One row per version of embeddings that is not withdrawn.';

-- Partitioned by version: an old one is dropped as a whole, and no search looks at it.
create table if not exists raw.video_embeddings ${on_cluster} (
    model_version LowCardinality(String) comment 'Version that made it; key',
    video_id UInt64 comment 'Video; key',
    embedding Array(Float32) comment 'Its place in the space of the model; only its direction counts',
    generated_at DateTime64(3, 'UTC') default now64(3) comment 'When it was computed (UTC); the latest counts',
    constraint embedding_has_the_dimensions_of_its_version check
        length(embedding) = toUInt16OrZero(extract(model_version, '-([0-9]+)d$'))
        and length(embedding) between 64 and 512,
    constraint embedding_has_a_direction check
        not arrayExists(value -> not isFinite(value), embedding)
        and arrayExists(value -> value != 0, embedding)
)
engine = ${replicated}ReplacingMergeTree(generated_at)
partition by model_version
order by (model_version, video_id)
settings -- noqa: PRS
    index_granularity = 1024
comment 'One row per version, video and time of computing. Read video_embeddings_current.';

create view if not exists raw.video_embeddings_current ${on_cluster} (
    model_version LowCardinality(String) comment 'Version that made it; key',
    video_id UInt64 comment 'Video; key',
    embedding Array(Float32) comment 'Its place in the space of the model; only its direction counts',
    generated_at DateTime64(3, 'UTC') comment 'When it was computed (UTC)'
)
as
select
    model_version,
    video_id,
    embedding,
    generated_at
from raw.video_embeddings final
comment 'One row per version and video.';

-- The indexes. One has a fixed number of dimensions, so there are four, and shorter vectors are
-- filled up with zeros, which turn no angle. They find; exact distances of video_embeddings rank.

create table if not exists raw.video_embeddings_64 ${on_cluster} ( -- noqa: PRS
    model_version LowCardinality(String) comment 'Version that made it; key',
    video_id UInt64 comment 'Video; key',
    embedding Array(Float32) comment 'As in video_embeddings, zeros behind',
    generated_at DateTime64(3, 'UTC') comment 'When it was computed (UTC)',
    index by_direction embedding
    type vector_similarity('hnsw', 'cosineDistance', 64) granularity 100000000
)
engine = ${replicated}ReplacingMergeTree(generated_at)
partition by model_version
order by (model_version, video_id)
settings index_granularity = 1024
comment 'Embeddings of 64 to 64 dimensions under an HNSW index, stale ones among them.';

create materialized view if not exists raw.video_embeddings_64_mv ${on_cluster}
to raw.video_embeddings_64
as
select
    made.model_version as model_version,
    made.video_id as video_id,
    arrayResize(made.embedding, 64, toFloat32(0)) as embedding,
    made.generated_at as generated_at
from raw.video_embeddings as made
where length(made.embedding) between 64 and 64;

create table if not exists raw.video_embeddings_128 ${on_cluster} ( -- noqa: PRS
    model_version LowCardinality(String) comment 'Version that made it; key',
    video_id UInt64 comment 'Video; key',
    embedding Array(Float32) comment 'As in video_embeddings, zeros behind',
    generated_at DateTime64(3, 'UTC') comment 'When it was computed (UTC)',
    index by_direction embedding
    type vector_similarity('hnsw', 'cosineDistance', 128) granularity 100000000
)
engine = ${replicated}ReplacingMergeTree(generated_at)
partition by model_version
order by (model_version, video_id)
settings index_granularity = 1024
comment 'Embeddings of 65 to 128 dimensions under an HNSW index, stale ones among them.';

create materialized view if not exists raw.video_embeddings_128_mv ${on_cluster}
to raw.video_embeddings_128
as
select
    made.model_version as model_version,
    made.video_id as video_id,
    arrayResize(made.embedding, 128, toFloat32(0)) as embedding,
    made.generated_at as generated_at
from raw.video_embeddings as made
where length(made.embedding) between 65 and 128;

create table if not exists raw.video_embeddings_256 ${on_cluster} ( -- noqa: PRS
    model_version LowCardinality(String) comment 'Version that made it; key',
    video_id UInt64 comment 'Video; key',
    embedding Array(Float32) comment 'As in video_embeddings, zeros behind',
    generated_at DateTime64(3, 'UTC') comment 'When it was computed (UTC)',
    index by_direction embedding
    type vector_similarity('hnsw', 'cosineDistance', 256) granularity 100000000
)
engine = ${replicated}ReplacingMergeTree(generated_at)
partition by model_version
order by (model_version, video_id)
settings index_granularity = 1024
comment 'Embeddings of 129 to 256 dimensions under an HNSW index, stale ones among them.';

create materialized view if not exists raw.video_embeddings_256_mv ${on_cluster}
to raw.video_embeddings_256
as
select
    made.model_version as model_version,
    made.video_id as video_id,
    arrayResize(made.embedding, 256, toFloat32(0)) as embedding,
    made.generated_at as generated_at
from raw.video_embeddings as made
where length(made.embedding) between 129 and 256;

create table if not exists raw.video_embeddings_512 ${on_cluster} ( -- noqa: PRS
    model_version LowCardinality(String) comment 'Version that made it; key',
    video_id UInt64 comment 'Video; key',
    embedding Array(Float32) comment 'As in video_embeddings, zeros behind',
    generated_at DateTime64(3, 'UTC') comment 'When it was computed (UTC)',
    index by_direction embedding
    type vector_similarity('hnsw', 'cosineDistance', 512) granularity 100000000
)
engine = ${replicated}ReplacingMergeTree(generated_at)
partition by model_version
order by (model_version, video_id)
settings index_granularity = 1024
comment 'Embeddings of 257 to 512 dimensions under an HNSW index, stale ones among them.';

create materialized view if not exists raw.video_embeddings_512_mv ${on_cluster}
to raw.video_embeddings_512
as
select
    made.model_version as model_version,
    made.video_id as video_id,
    arrayResize(made.embedding, 512, toFloat32(0)) as embedding,
    made.generated_at as generated_at
from raw.video_embeddings as made
where length(made.embedding) between 257 and 512;
