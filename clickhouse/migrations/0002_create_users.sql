-- Everybody who can look or publish. The other entity tables follow the rules told here once.
--
-- Landed at least once: the same version may arrive twice, so nothing that counts may hang on an
-- entity table, and readers use the `_current` view, where FINAL is written once.
--
-- TTL: entities live as long as they do in Postgres (a follow of two years ago is still one), and
-- only a deleted row leaves, 365 days later. min_age_to_force_merge_seconds merges old versions
-- away long before that: were the deleting version to expire first, an older one would come back.
create table if not exists raw.users ${on_cluster} (
    user_id UInt64 comment 'Person; key',
    username String comment 'Name shown to others, empty when they chose none',
    created_at DateTime64(3, 'UTC') comment 'When the account was made (UTC)',
    deleted Bool comment 'True when deleted; the row stays so that older versions lose',
    _txid UInt64 comment 'Postgres transaction that wrote this version; the change-capture cursor',
    _version UInt64 comment 'Grows with every write of one row; FINAL keeps the largest',
    landed_at DateTime64(3, 'UTC') default now64(3) comment 'When it was stored here (UTC)'
)
engine = ${replicated}ReplacingMergeTree(_version)
order by user_id
ttl toDateTime(landed_at) + interval 365 day delete
where deleted
settings -- noqa: PRS
    index_granularity = 256,
    min_age_to_force_merge_seconds = 604800
comment 'One row per user and version. Read users_current.';

create view if not exists raw.users_current ${on_cluster} (
    user_id UInt64 comment 'Person; key',
    username String comment 'Name shown to others, empty when they chose none',
    created_at DateTime64(3, 'UTC') comment 'When the account was made (UTC)',
    _version UInt64 comment 'Grows with every write of one row; FINAL keeps the largest',
    landed_at DateTime64(3, 'UTC') comment 'When it was stored here (UTC)'
)
as
select
    user_id,
    username,
    created_at,
    _version,
    landed_at
from raw.users final
where not deleted
comment 'One row per user who is not deleted.';
