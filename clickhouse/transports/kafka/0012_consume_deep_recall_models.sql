-- Changes of app.deep_recall_models from Debezium, into the same landing table as pull.
create table if not exists raw.kafka_deep_recall_models ${on_cluster} (
    model_version String,
    provider String,
    dimensions UInt16,
    active Bool,
    metrics String,
    created_at String,
    activated_at Nullable(String),
    deleted Bool,
    _txid UInt64,
    _version UInt64
)
engine = Kafka(nova_kafka)
settings
kafka_topic_list = 'nova.app.deep_recall_models',
kafka_group_name = 'nova_deep_recall_models',
kafka_format = 'JSONEachRow',
kafka_flush_interval_ms = 500,
input_format_skip_unknown_fields = 1;

create materialized view if not exists raw.kafka_deep_recall_models_mv ${on_cluster}
to raw.deep_recall_models
as
select
    changes.model_version,
    changes.provider,
    changes.dimensions,
    changes.active,
    changes.metrics,
    changes.deleted,
    changes._txid,
    changes._version,
    parseDateTime64BestEffort(changes.created_at, 3, 'UTC') as created_at,
    parseDateTime64BestEffortOrZero(
        coalesce(changes.activated_at, ''), 3, 'UTC'
    ) as activated_at
from raw.kafka_deep_recall_models as changes;
