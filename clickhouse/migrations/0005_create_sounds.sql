-- The audio tracks videos are made with.
create table if not exists raw.sounds ${on_cluster} (
    sound_id UInt64 comment 'Sound; key',
    name String comment 'Title of the track',
    is_original Bool comment 'True when a creator recorded it, false for licensed music',
    created_at DateTime64(3, 'UTC') comment 'When the sound was first used (UTC)',
    deleted Bool comment 'True when deleted; the row stays so that older versions lose',
    _txid UInt64 comment 'Postgres transaction that wrote this version; the change-capture cursor',
    _version UInt64 comment 'Grows with every write of one row; FINAL keeps the largest',
    landed_at DateTime64(3, 'UTC') default now64(3) comment 'When it was stored here (UTC)'
)
engine = ${replicated}ReplacingMergeTree(_version)
order by sound_id
ttl toDateTime(landed_at) + interval 365 day delete
where deleted
settings -- noqa: PRS
    index_granularity = 256,
    min_age_to_force_merge_seconds = 604800
comment 'One row per sound and version. Read sounds_current.';

create view if not exists raw.sounds_current ${on_cluster} (
    sound_id UInt64 comment 'Sound; key',
    name String comment 'Title of the track',
    is_original Bool comment 'True when a creator recorded it, false for licensed music',
    created_at DateTime64(3, 'UTC') comment 'When the sound was first used (UTC)',
    _version UInt64 comment 'Grows with every write of one row; FINAL keeps the largest',
    landed_at DateTime64(3, 'UTC') comment 'When it was stored here (UTC)'
)
as
select
    sound_id,
    name,
    is_original,
    created_at,
    _version,
    landed_at
from raw.sounds final
where not deleted
comment 'One row per sound that is not deleted.';
