-- Changes of app.posts from Debezium, into the same landing table as pull.
create table if not exists raw.kafka_posts ${on_cluster} (
    id UInt64,
    author_id UInt64,
    body String,
    hashtags Array(String),
    created_at String,
    deleted Bool,
    _txid UInt64,
    _version UInt64
)
engine = Kafka(nova_kafka)
settings
kafka_topic_list = 'nova.app.posts',
kafka_group_name = 'nova_posts',
kafka_format = 'JSONEachRow',
kafka_flush_interval_ms = 500,
input_format_skip_unknown_fields = 1;

create materialized view if not exists raw.kafka_posts_mv ${on_cluster}
to raw.posts
as
select
    changes.id as post_id,
    changes.author_id,
    changes.body,
    changes.hashtags,
    changes.deleted,
    changes._txid,
    changes._version,
    parseDateTime64BestEffort(changes.created_at, 3, 'UTC') as created_at
from raw.kafka_posts as changes;
