-- Changes of app.users from Debezium, into the same landing table as pull.
create table if not exists raw.kafka_users ${on_cluster} (
    id UInt64,
    username Nullable(String),
    created_at String,
    deleted Bool,
    _txid UInt64,
    _version UInt64
)
engine = Kafka(nova_kafka)
settings
kafka_topic_list = 'nova.app.users',
kafka_group_name = 'nova_users',
kafka_format = 'JSONEachRow',
kafka_flush_interval_ms = 500,
input_format_skip_unknown_fields = 1;

create materialized view if not exists raw.kafka_users_mv ${on_cluster}
to raw.users
as
select
    changes.id as user_id,
    changes.deleted,
    changes._txid,
    changes._version,
    coalesce(changes.username, '') as username,
    parseDateTime64BestEffort(changes.created_at, 3, 'UTC') as created_at
from raw.kafka_users as changes;
