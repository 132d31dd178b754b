-- Changes of app.post_engagement from Debezium, into the same landing table as pull.
create table if not exists raw.kafka_post_engagement ${on_cluster} (
    post_id UInt64,
    exposures UInt64,
    views UInt64,
    likes UInt64,
    shares UInt64,
    comments UInt64,
    dwell_ms UInt64,
    deleted Bool,
    _txid UInt64,
    _version UInt64
)
engine = Kafka(nova_kafka)
settings
    kafka_topic_list = 'nova.app.post_engagement',
    kafka_group_name = 'nova_post_engagement',
    kafka_format = 'JSONEachRow',
    kafka_flush_interval_ms = 500,
    input_format_skip_unknown_fields = 1;

create materialized view if not exists raw.kafka_post_engagement_mv ${on_cluster}
to raw.post_engagement
as
select
    post_id,
    exposures,
    views,
    likes,
    shares,
    comments,
    dwell_ms,
    deleted,
    _txid,
    _version
from raw.kafka_post_engagement;
