-- One window of video_engagement. A repeat lands rows again, and FINAL keeps one of each version.
insert into raw.video_engagement (
    video_id,
    views,
    completions,
    watch_ms,
    likes,
    shares,
    comments,
    deleted,
    _txid,
    _version
)
select
    video_id,
    views,
    completions,
    watch_ms,
    likes,
    shares,
    comments,
    deleted,
    _txid,
    _version
from postgresql( -- noqa: PRS
    {collection:Identifier},
    query = format($postgres$
        select
            video_id,
            views,
            completions,
            watch_ms,
            likes,
            shares,
            comments,
            deleted,
            _txid,
            _version
        from app.settled_video_engagement
        where _txid > {0} and _txid <= {1}
    $postgres$, toString({from_txid:UInt64}), toString({to_txid:UInt64}))
)
