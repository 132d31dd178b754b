-- One window of post_engagement. A repeat lands rows again, and FINAL keeps one of each version.
insert into raw.post_engagement (
    post_id,
    exposures,
    views,
    likes,
    shares,
    comments,
    dwell_ms,
    deleted,
    _txid,
    _version
)
select
    post_id,
    exposures,
    views,
    likes,
    shares,
    comments,
    dwell_ms,
    deleted,
    _txid,
    _version
from postgresql( -- noqa: PRS
    {collection:Identifier},
    query = format($postgres$
        select
            post_id,
            exposures,
            views,
            likes,
            shares,
            comments,
            dwell_ms,
            deleted,
            _txid,
            _version
        from app.settled_post_engagement
        where _txid > {0} and _txid <= {1}
    $postgres$, toString({from_txid:UInt64}), toString({to_txid:UInt64}))
)
