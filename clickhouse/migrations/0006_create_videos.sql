-- Short videos (reels), in every status. Counters are a table of their own (0007): they change a
-- thousand times as often, and a wide row should not be written again for each like.
create table if not exists raw.videos ${on_cluster} (
    video_id UInt64 comment 'Video; key',
    creator_id UInt64 comment 'User who published it',
    sound_id UInt64 comment 'Sound it is made with, 0 when none',
    category LowCardinality(String) comment 'Topic, empty when unknown',
    title String comment 'Title shown on the card',
    description String comment 'Longer text below the title',
    hashtags Array(String) comment 'Tags without the number sign, in the order of the author',
    duration_ms UInt32 comment 'Length (milliseconds)',
    status LowCardinality(String) comment 'uploading, processing, published, failed or deleted',
    created_at DateTime64(3, 'UTC') comment 'When the upload began (UTC)',
    published_at DateTime64(3, 'UTC') comment 'When it became public (UTC), 1970-01-01 for never',
    thumbnail_url String comment 'Address of the still picture, empty when none',
    deleted Bool comment 'True when deleted; the row stays so that older versions lose',
    _txid UInt64 comment 'Postgres transaction that wrote this version; the change-capture cursor',
    _version UInt64 comment 'Grows with every write of one row; FINAL keeps the largest',
    landed_at DateTime64(3, 'UTC') default now64(3) comment 'When it was stored here (UTC)'
)
engine = ${replicated}ReplacingMergeTree(_version)
order by video_id
ttl toDateTime(landed_at) + interval 365 day delete
where deleted
settings -- noqa: PRS
    index_granularity = 256,
    min_age_to_force_merge_seconds = 604800
comment 'One row per video and version. Read videos_current.';

create view if not exists raw.videos_current ${on_cluster} (
    video_id UInt64 comment 'Video; key',
    creator_id UInt64 comment 'User who published it',
    sound_id UInt64 comment 'Sound it is made with, 0 when none',
    category LowCardinality(String) comment 'Topic, empty when unknown',
    title String comment 'Title shown on the card',
    description String comment 'Longer text below the title',
    hashtags Array(String) comment 'Tags without the number sign, in the order of the author',
    duration_ms UInt32 comment 'Length (milliseconds)',
    status LowCardinality(String) comment 'uploading, processing, published, failed or deleted',
    created_at DateTime64(3, 'UTC') comment 'When the upload began (UTC)',
    published_at DateTime64(3, 'UTC') comment 'When it became public (UTC), 1970-01-01 for never',
    thumbnail_url String comment 'Address of the still picture, empty when none',
    _version UInt64 comment 'Grows with every write of one row; FINAL keeps the largest',
    landed_at DateTime64(3, 'UTC') comment 'When it was stored here (UTC)'
)
as
select
    video_id,
    creator_id,
    sound_id,
    category,
    title,
    description,
    hashtags,
    duration_ms,
    status,
    created_at,
    published_at,
    thumbnail_url,
    _version,
    landed_at
from raw.videos final
where not deleted
comment 'One row per video that is not deleted, in any status.';
