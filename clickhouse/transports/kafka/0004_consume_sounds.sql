-- Changes of app.sounds from Debezium, into the same landing table as pull.
create table if not exists raw.kafka_sounds ${on_cluster} (
    id UInt64,
    name String,
    is_original Bool,
    created_at String,
    deleted Bool,
    _txid UInt64,
    _version UInt64
)
engine = Kafka(nova_kafka)
settings
kafka_topic_list = 'nova.app.sounds',
kafka_group_name = 'nova_sounds',
kafka_format = 'JSONEachRow',
kafka_flush_interval_ms = 500,
input_format_skip_unknown_fields = 1;

create materialized view if not exists raw.kafka_sounds_mv ${on_cluster}
to raw.sounds
as
select
    changes.id as sound_id,
    changes.name,
    changes.is_original,
    changes.deleted,
    changes._txid,
    changes._version,
    parseDateTime64BestEffort(changes.created_at, 3, 'UTC') as created_at
from raw.kafka_sounds as changes;
