-- One window of not_interested_posts. A repeat lands rows again, and FINAL keeps one of each
-- version.
insert into raw.not_interested_posts (
    user_id,
    post_id,
    deleted,
    _txid,
    _version,
    created_at
)
select
    user_id,
    post_id,
    deleted,
    _txid,
    _version,
    fromUnixTimestamp64Milli(created_at_ms, 'UTC') as created_at
from postgresql( -- noqa: PRS
    {collection:Identifier},
    query = format($postgres$
        select
            user_id,
            post_id,
            floor(extract(epoch from created_at) * 1000)::bigint as created_at_ms,
            deleted,
            _txid,
            _version
        from app.settled_not_interested_posts
        where _txid > {0} and _txid <= {1}
    $postgres$, toString({from_txid:UInt64}), toString({to_txid:UInt64}))
)
