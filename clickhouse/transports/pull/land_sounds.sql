-- One window of sounds. A repeat lands rows again, and FINAL keeps one of each version.
insert into raw.sounds (
    sound_id,
    name,
    is_original,
    deleted,
    _txid,
    _version,
    created_at
)
select
    sound_id,
    name,
    is_original,
    deleted,
    _txid,
    _version,
    fromUnixTimestamp64Milli(created_at_ms, 'UTC') as created_at
from postgresql( -- noqa: PRS
    {collection:Identifier},
    query = format($postgres$
        select
            id as sound_id,
            name,
            is_original,
            floor(extract(epoch from created_at) * 1000)::bigint as created_at_ms,
            deleted,
            _txid,
            _version
        from app.settled_sounds
        where _txid > {0} and _txid <= {1}
    $postgres$, toString({from_txid:UInt64}), toString({to_txid:UInt64}))
)
