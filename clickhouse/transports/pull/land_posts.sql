-- One window of posts. A repeat lands rows again, and FINAL keeps one of each version.
insert into raw.posts (
    post_id,
    author_id,
    body,
    deleted,
    _txid,
    _version,
    hashtags,
    created_at
)
select
    post_id,
    author_id,
    body,
    deleted,
    _txid,
    _version,
    JSONExtract(assumeNotNull(hashtags_json), 'Array(String)') as hashtags,
    fromUnixTimestamp64Milli(created_at_ms, 'UTC') as created_at
from postgresql( -- noqa: PRS
    {collection:Identifier},
    query = format($postgres$
        select
            id as post_id,
            author_id,
            body,
            array_to_json(hashtags)::text as hashtags_json,
            floor(extract(epoch from created_at) * 1000)::bigint as created_at_ms,
            deleted,
            _txid,
            _version
        from app.settled_posts
        where _txid > {0} and _txid <= {1}
    $postgres$, toString({from_txid:UInt64}), toString({to_txid:UInt64}))
)
