-- Changes of app.not_interested_posts from Debezium, into the same landing table as pull.
create table if not exists raw.kafka_not_interested_posts ${on_cluster} (
    user_id UInt64,
    post_id UInt64,
    created_at String,
    deleted Bool,
    _txid UInt64,
    _version UInt64
)
engine = Kafka(nova_kafka)
settings
kafka_topic_list = 'nova.app.not_interested_posts',
kafka_group_name = 'nova_not_interested_posts',
kafka_format = 'JSONEachRow',
kafka_flush_interval_ms = 500,
input_format_skip_unknown_fields = 1;

create materialized view if not exists raw.kafka_not_interested_posts_mv ${on_cluster}
to raw.not_interested_posts
as
select
    changes.user_id,
    changes.post_id,
    changes.deleted,
    changes._txid,
    changes._version,
    parseDateTime64BestEffort(changes.created_at, 3, 'UTC') as created_at
from raw.kafka_not_interested_posts as changes;
