-- One window of deep_recall_models. A repeat lands rows again, and FINAL keeps one of each version.
insert into raw.deep_recall_models (
    model_version,
    provider,
    dimensions,
    active,
    metrics,
    deleted,
    _txid,
    _version,
    created_at,
    activated_at
)
select
    model_version,
    provider,
    dimensions,
    active,
    metrics,
    deleted,
    _txid,
    _version,
    fromUnixTimestamp64Milli(created_at_ms, 'UTC') as created_at,
    fromUnixTimestamp64Milli(activated_at_ms, 'UTC') as activated_at
from postgresql( -- noqa: PRS
    {collection:Identifier},
    query = format($postgres$
        select
            model_version,
            provider,
            dimensions,
            active,
            metrics::text as metrics,
            floor(extract(epoch from created_at) * 1000)::bigint as created_at_ms,
            coalesce(floor(extract(epoch from activated_at) * 1000)::bigint, 0) as activated_at_ms,
            deleted,
            _txid,
            _version
        from app.settled_deep_recall_models
        where _txid > {0} and _txid <= {1}
    $postgres$, toString({from_txid:UInt64}), toString({to_txid:UInt64}))
)
