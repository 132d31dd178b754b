-- The changes of app.events as Debezium publishes them, into the stream the rollups count.
--
-- Kafka delivers at least once and its blocks differ from attempt to attempt, so a consumer that
-- crashes between storing and committing its offset counts a block twice: see the README.
-- Rows up to ${after_txid} came with the pull transport.
create table if not exists raw.kafka_events ${on_cluster} (
    idempotent_key Int64,
    event_time String,
    user_id UInt64,
    item_id UInt64,
    item_type String,
    author_id UInt64,
    action String,
    dwell_ms UInt32,
    watch_ms UInt32,
    completion Nullable(Float32),
    device String,
    app_ver String,
    feed_request_id Nullable(UUID),
    _txid UInt64
)
engine = Kafka(nova_kafka)
settings
kafka_topic_list = 'nova.app.events',
kafka_group_name = 'nova_events',
kafka_format = 'JSONEachRow',
kafka_flush_interval_ms = 500,
input_format_skip_unknown_fields = 1;

create materialized view if not exists raw.kafka_events_mv ${on_cluster}
to raw.events
as
select
    changes.idempotent_key,
    changes.user_id,
    changes.item_id,
    changes.item_type,
    changes.author_id,
    changes.action,
    changes.dwell_ms,
    changes.watch_ms,
    changes.device,
    changes.app_ver,
    changes._txid,
    parseDateTimeBestEffort(changes.event_time, 'UTC') as event_time,
    coalesce(changes.completion, -1) as completion,
    coalesce(
        changes.feed_request_id, toUUID('00000000-0000-0000-0000-000000000000')
    ) as feed_request_id
from raw.kafka_events as changes
where changes._txid > ${after_txid};
