-- Changes of app.videos from Debezium, into the same landing table as pull.
create table if not exists raw.kafka_videos ${on_cluster} (
    id UInt64,
    creator_id UInt64,
    sound_id Nullable(UInt64),
    category Nullable(String),
    title String,
    description String,
    hashtags Array(String),
    duration_ms UInt32,
    status String,
    created_at String,
    published_at Nullable(String),
    thumbnail_url String,
    deleted Bool,
    _txid UInt64,
    _version UInt64
)
engine = Kafka(nova_kafka)
settings
    kafka_topic_list = 'nova.app.videos',
    kafka_group_name = 'nova_videos',
    kafka_format = 'JSONEachRow',
    kafka_flush_interval_ms = 500,
    input_format_skip_unknown_fields = 1;

create materialized view if not exists raw.kafka_videos_mv ${on_cluster}
to raw.videos
as
select
    id as video_id,
    creator_id,
    ifNull(kafka_videos.sound_id, 0) as sound_id,
    ifNull(kafka_videos.category, '') as category,
    title,
    description,
    hashtags,
    duration_ms,
    status,
    parseDateTime64BestEffort(kafka_videos.created_at, 3, 'UTC') as created_at,
    parseDateTime64BestEffortOrZero(
        ifNull(kafka_videos.published_at, ''), 3, 'UTC'
    ) as published_at,
    thumbnail_url,
    deleted,
    _txid,
    _version
from raw.kafka_videos;
