-- Changes of app.video_engagement from Debezium, into the same landing table as pull.
create table if not exists raw.kafka_video_engagement ${on_cluster} (
    video_id UInt64,
    views UInt64,
    completions Float64,
    watch_ms UInt64,
    likes UInt64,
    shares UInt64,
    comments UInt64,
    deleted Bool,
    _txid UInt64,
    _version UInt64
)
engine = Kafka(nova_kafka)
settings
kafka_topic_list = 'nova.app.video_engagement',
kafka_group_name = 'nova_video_engagement',
kafka_format = 'JSONEachRow',
kafka_flush_interval_ms = 500,
input_format_skip_unknown_fields = 1;

create materialized view if not exists raw.kafka_video_engagement_mv ${on_cluster}
to raw.video_engagement
as
select
    changes.video_id,
    changes.views,
    changes.completions,
    changes.watch_ms,
    changes.likes,
    changes.shares,
    changes.comments,
    changes.deleted,
    changes._txid,
    changes._version
from raw.kafka_video_engagement as changes;
