-- Changes of app.follows from Debezium, into the same landing table as pull.
create table if not exists raw.kafka_follows ${on_cluster} (
    follower_id UInt64,
    followee_id UInt64,
    created_at String,
    ended_at Nullable(String),
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
    changes.follower_id,
    changes.followee_id,
    changes.deleted,
    changes._txid,
    changes._version,
    parseDateTime64BestEffort(changes.created_at, 3, 'UTC') as created_at,
    parseDateTime64BestEffortOrZero(
        coalesce(changes.ended_at, ''), 3, 'UTC'
    ) as ended_at
from raw.kafka_follows as changes;
