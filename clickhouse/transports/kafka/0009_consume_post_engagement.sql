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
    changes.post_id,
    changes.exposures,
    changes.views,
    changes.likes,
    changes.shares,
    changes.comments,
    changes.dwell_ms,
    changes.deleted,
    changes._txid,
    changes._version
from raw.kafka_post_engagement as changes;
