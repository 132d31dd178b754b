-- Changes of app.follows from Debezium, into the same landing table as pull.
create table if not exists raw.kafka_follows ${on_cluster} (
    follower_id UInt64,
    followee_id UInt64,
    created_at String,
    deleted Bool,
    _txid UInt64,
    _version UInt64
)
engine = Kafka(nova_kafka)
settings
    kafka_topic_list = 'nova.app.follows',
    kafka_group_name = 'nova_follows',
    kafka_format = 'JSONEachRow',
    kafka_flush_interval_ms = 500,
    input_format_skip_unknown_fields = 1;

create materialized view if not exists raw.kafka_follows_mv ${on_cluster}
to raw.follows
as
select
    follower_id,
    followee_id,
    parseDateTime64BestEffort(kafka_follows.created_at, 3, 'UTC') as created_at,
    deleted,
    _txid,
    _version
from raw.kafka_follows;
