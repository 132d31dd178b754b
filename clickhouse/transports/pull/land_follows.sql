-- One window of follows. A repeat lands rows again, and FINAL keeps one of each version.
insert into raw.follows (
    follower_id,
    followee_id,
    deleted,
    _txid,
    _version,
    created_at,
    ended_at
)
select
    follower_id,
    followee_id,
    deleted,
    _txid,
    _version,
    fromUnixTimestamp64Milli(created_at_ms, 'UTC') as created_at,
    fromUnixTimestamp64Milli(ended_at_ms, 'UTC') as ended_at
from postgresql( -- noqa: PRS
    {collection:Identifier},
    query = format($postgres$
        select
            follower_id,
            followee_id,
            floor(extract(epoch from created_at) * 1000)::bigint as created_at_ms,
            coalesce(floor(extract(epoch from ended_at) * 1000)::bigint, 0) as ended_at_ms,
            deleted,
            _txid,
            _version
        from app.settled_follows
        where _txid > {0} and _txid <= {1}
    $postgres$, toString({from_txid:UInt64}), toString({to_txid:UInt64}))
)
