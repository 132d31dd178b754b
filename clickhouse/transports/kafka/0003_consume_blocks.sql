-- Changes of app.blocks from Debezium, into the same landing table as pull.
create table if not exists raw.kafka_blocks ${on_cluster} (
    blocker_id UInt64,
    blocked_id UInt64,
    created_at String,
    deleted Bool,
    _txid UInt64,
    _version UInt64
)
engine = Kafka(nova_kafka)
settings
kafka_topic_list = 'nova.app.blocks',
kafka_group_name = 'nova_blocks',
kafka_format = 'JSONEachRow',
kafka_flush_interval_ms = 500,
input_format_skip_unknown_fields = 1;

create materialized view if not exists raw.kafka_blocks_mv ${on_cluster}
to raw.blocks
as
select
    changes.blocker_id,
    changes.blocked_id,
    changes.deleted,
    changes._txid,
    changes._version,
    parseDateTime64BestEffort(changes.created_at, 3, 'UTC') as created_at
from raw.kafka_blocks as changes;
