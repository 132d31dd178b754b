-- One window of follows. A repeat lands rows again, and FINAL keeps one of each version.
insert into raw.follows (
    follower_id,
    followee_id,
    deleted,
    _txid,
    _version,
    created_at
)
select
    follower_id,
    followee_id,
    deleted,
    _txid,
    _version,
    fromUnixTimestamp64Milli(created_at_ms, 'UTC') as created_at
from postgresql( -- noqa: PRS
    {collection:Identifier},
    query = format($postgres$
        select
            follower_id,
            followee_id,
            floor(extract(epoch from created_at) * 1000)::bigint as created_at_ms,
            deleted,
            _txid,
            _version
        from app.settled_follows
        where _txid > {0} and _txid <= {1}
    $postgres$, toString({from_txid:UInt64}), toString({to_txid:UInt64}))
)
