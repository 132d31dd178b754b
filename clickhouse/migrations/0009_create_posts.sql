-- Text posts. Counters are in 0010, for the reason told in 0006.
create table if not exists raw.posts ${on_cluster} (
    post_id UInt64 comment 'Post; key',
    author_id UInt64 comment 'User who wrote it',
    body String comment 'Text',
    hashtags Array(String) comment 'Tags without the number sign, in the order of the author',
    created_at DateTime64(3, 'UTC') comment 'When it was posted (UTC)',
    deleted Bool comment 'True when deleted; the row stays so that older versions lose',
    _txid UInt64 comment 'Postgres transaction that wrote this version; the change-capture cursor',
    _version UInt64 comment 'Grows with every write of one row; FINAL keeps the largest',
    landed_at DateTime64(3, 'UTC') default now64(3) comment 'When it was stored here (UTC)'
)
engine = ${replicated}ReplacingMergeTree(_version)
order by post_id
ttl toDateTime(landed_at) + interval 365 day delete
where deleted
settings -- noqa: PRS
    index_granularity = 256,
    min_age_to_force_merge_seconds = 604800
comment 'One row per post and version. Read posts_current.';

create view if not exists raw.posts_current ${on_cluster} (
    post_id UInt64 comment 'Post; key',
    author_id UInt64 comment 'User who wrote it',
    body String comment 'Text',
    hashtags Array(String) comment 'Tags without the number sign, in the order of the author',
    created_at DateTime64(3, 'UTC') comment 'When it was posted (UTC)',
    _version UInt64 comment 'Grows with every write of one row; FINAL keeps the largest',
    landed_at DateTime64(3, 'UTC') comment 'When it was stored here (UTC)'
)
as
select
    post_id,
    author_id,
    body,
    hashtags,
    created_at,
    _version,
    landed_at
from raw.posts final
where not deleted
comment 'One row per post that is not deleted.';
