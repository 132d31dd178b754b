-- Posts a viewer asked never to see again.
create table if not exists raw.not_interested_posts ${on_cluster} (
    user_id UInt64 comment 'Viewer who asked; key',
    post_id UInt64 comment 'Post they do not want; key',
    created_at DateTime64(3, 'UTC') comment 'When they asked (UTC)',
    deleted Bool comment 'True when deleted; the row stays so that older versions lose',
    _txid UInt64 comment 'Postgres transaction that wrote this version; the change-capture cursor',
    _version UInt64 comment 'Grows with every write of one row; FINAL keeps the largest',
    landed_at DateTime64(3, 'UTC') default now64(3) comment 'When it was stored here (UTC)'
)
engine = ${replicated}ReplacingMergeTree(_version)
order by (user_id, post_id)
ttl toDateTime(landed_at) + interval 365 day delete
where deleted
settings -- noqa: PRS
    index_granularity = 256,
    min_age_to_force_merge_seconds = 604800
comment 'One row per viewer, post and version. Read not_interested_posts_current.';

create view if not exists raw.not_interested_posts_current ${on_cluster} (
    user_id UInt64 comment 'Viewer who asked; key',
    post_id UInt64 comment 'Post they do not want; key',
    created_at DateTime64(3, 'UTC') comment 'When they asked (UTC)',
    _version UInt64 comment 'Grows with every write of one row; FINAL keeps the largest',
    landed_at DateTime64(3, 'UTC') comment 'When it was stored here (UTC)'
)
as
select
    user_id,
    post_id,
    created_at,
    _version,
    landed_at
from raw.not_interested_posts final
where not deleted
comment 'One row per viewer and post they asked not to see.';
