-- Who never wants to see whom. Key order serves "whom did this viewer block".
create table if not exists raw.blocks ${on_cluster} (
    blocker_id UInt64 comment 'Who blocks; key',
    blocked_id UInt64 comment 'Who is blocked; key',
    created_at DateTime64(3, 'UTC') comment 'When the block was made (UTC)',
    deleted Bool comment 'True when deleted; the row stays so that older versions lose',
    _txid UInt64 comment 'Postgres transaction that wrote this version; the change-capture cursor',
    _version UInt64 comment 'Grows with every write of one row; FINAL keeps the largest',
    landed_at DateTime64(3, 'UTC') default now64(3) comment 'When it was stored here (UTC)'
)
engine = ${replicated}ReplacingMergeTree(_version)
order by (blocker_id, blocked_id)
ttl toDateTime(landed_at) + interval 365 day delete
where deleted
settings -- noqa: PRS
    index_granularity = 256,
    min_age_to_force_merge_seconds = 604800
comment 'One row per blocker, blocked and version. Read blocks_current.';

create view if not exists raw.blocks_current ${on_cluster} (
    blocker_id UInt64 comment 'Who blocks; key',
    blocked_id UInt64 comment 'Who is blocked; key',
    created_at DateTime64(3, 'UTC') comment 'When the block was made (UTC)',
    _version UInt64 comment 'Grows with every write of one row; FINAL keeps the largest',
    landed_at DateTime64(3, 'UTC') comment 'When it was stored here (UTC)'
)
as
select
    blocker_id,
    blocked_id,
    created_at,
    _version,
    landed_at
from raw.blocks final
where not deleted
comment 'One row per blocker and blocked, blocks that stand.';
