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
    changes.id as video_id,
    changes.creator_id,
    changes.title,
    changes.description,
    changes.hashtags,
    changes.duration_ms,
    changes.status,
    changes.thumbnail_url,
    changes.deleted,
    changes._txid,
    changes._version,
    coalesce(changes.sound_id, 0) as sound_id,
    coalesce(changes.category, '') as category,
    parseDateTime64BestEffort(changes.created_at, 3, 'UTC') as created_at,
    parseDateTime64BestEffortOrZero(
        coalesce(changes.published_at, ''), 3, 'UTC'
    ) as published_at
from raw.kafka_videos as changes;
