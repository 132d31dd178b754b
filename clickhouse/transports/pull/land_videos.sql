-- One window of videos. A repeat lands rows again, and FINAL keeps one of each version.
insert into raw.videos (
    video_id,
    creator_id,
    sound_id,
    category,
    title,
    description,
    duration_ms,
    status,
    thumbnail_url,
    deleted,
    _txid,
    _version,
    hashtags,
    created_at,
    published_at
)
select
    video_id,
    creator_id,
    sound_id,
    category,
    title,
    description,
    duration_ms,
    status,
    thumbnail_url,
    deleted,
    _txid,
    _version,
    JSONExtract(assumeNotNull(hashtags_json), 'Array(String)') as hashtags,
    fromUnixTimestamp64Milli(created_at_ms, 'UTC') as created_at,
    fromUnixTimestamp64Milli(published_at_ms, 'UTC') as published_at
from postgresql( -- noqa: PRS
    {collection:Identifier},
    query = format($postgres$
        select
            id as video_id,
            creator_id,
            coalesce(sound_id, 0) as sound_id,
            coalesce(category, '') as category,
            title,
            description,
            array_to_json(hashtags)::text as hashtags_json,
            duration_ms,
            status,
            floor(extract(epoch from created_at) * 1000)::bigint as created_at_ms,
            coalesce(floor(extract(epoch from published_at) * 1000)::bigint, 0) as published_at_ms,
            thumbnail_url,
            deleted,
            _txid,
            _version
        from app.settled_videos
        where _txid > {0} and _txid <= {1}
    $postgres$, toString({from_txid:UInt64}), toString({to_txid:UInt64}))
)
