-- Who follows whom. Key order serves "whom does this viewer follow".
create table if not exists raw.follows ${on_cluster} (
    follower_id UInt64 comment 'Who follows; key',
    followee_id UInt64 comment 'Who is followed; key',
    created_at DateTime64(3, 'UTC') comment 'When the follow was made (UTC)',
    deleted Bool comment 'True when deleted; the row stays so that older versions lose',
    _txid UInt64 comment 'Postgres transaction that wrote this version; the change-capture cursor',
    _version UInt64 comment 'Grows with every write of one row; FINAL keeps the largest',
    landed_at DateTime64(3, 'UTC') default now64(3) comment 'When it was stored here (UTC)'
)
engine = ${replicated}ReplacingMergeTree(_version)
order by (follower_id, followee_id)
ttl toDateTime(landed_at) + interval 365 day delete
where deleted
settings -- noqa: PRS
    index_granularity = 256,
    min_age_to_force_merge_seconds = 604800
comment 'One row per follower, followee and version. Read follows_current.';

create view if not exists raw.follows_current ${on_cluster} (
    follower_id UInt64 comment 'Who follows; key',
    followee_id UInt64 comment 'Who is followed; key',
    created_at DateTime64(3, 'UTC') comment 'When the follow was made (UTC)',
    _version UInt64 comment 'Grows with every write of one row; FINAL keeps the largest',
    landed_at DateTime64(3, 'UTC') comment 'When it was stored here (UTC)'
)
as
select
    follower_id,
    followee_id,
    created_at,
    _version,
    landed_at
from raw.follows final
where not deleted
comment 'One row per follower and followee, follows that stand.';
