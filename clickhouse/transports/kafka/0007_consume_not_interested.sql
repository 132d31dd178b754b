-- Changes of app.not_interested from Debezium, into the same landing table as pull.
create table if not exists raw.kafka_not_interested ${on_cluster} (
    user_id UInt64,
    video_id UInt64,
    created_at String,
    deleted Bool,
    _txid UInt64,
    _version UInt64
)
engine = Kafka(nova_kafka)
settings
    kafka_topic_list = 'nova.app.not_interested',
    kafka_group_name = 'nova_not_interested',
    kafka_format = 'JSONEachRow',
    kafka_flush_interval_ms = 500,
    input_format_skip_unknown_fields = 1;

create materialized view if not exists raw.kafka_not_interested_mv ${on_cluster}
to raw.not_interested
as
select
    user_id,
    video_id,
    parseDateTime64BestEffort(kafka_not_interested.created_at, 3, 'UTC') as created_at,
    deleted,
    _txid,
    _version
from raw.kafka_not_interested;
