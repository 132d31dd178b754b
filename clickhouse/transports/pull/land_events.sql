-- One window of events, the stream the rollups count: the same window must give the same blocks.
--
-- Hence the total order, by Postgres, so that a transaction of any size streams through; one
-- thread; block_rows rows per block; and a token that names the window. Column names may change
-- between two attempts, the order and the block size may not.
insert into raw.events (
    event_time,
    user_id,
    item_id,
    item_type,
    author_id,
    action,
    dwell_ms,
    watch_ms,
    completion,
    device,
    app_ver,
    feed_request_id,
    idempotent_key,
    _txid
)
select
    toDateTime(event_seconds, 'UTC') as event_time,
    user_id,
    item_id,
    item_type,
    author_id,
    action,
    dwell_ms,
    watch_ms,
    completion,
    device,
    app_ver,
    feed_request_id,
    idempotent_key,
    _txid
from postgresql( -- noqa: PRS
    {collection:Identifier},
    query = format($postgres$
        select
            extract(epoch from event_time)::bigint as event_seconds,
            user_id,
            item_id,
            item_type,
            coalesce(author_id, 0) as author_id,
            action,
            dwell_ms,
            watch_ms,
            coalesce(completion, -1)::real as completion,
            device,
            app_ver,
            coalesce(feed_request_id, '00000000-0000-0000-0000-000000000000') as feed_request_id,
            idempotent_key,
            _txid
        from app.settled_events
        where _txid > {0} and _txid <= {1}
        order by _txid, event_time, idempotent_key
    $postgres$, toString({from_txid:UInt64}), toString({to_txid:UInt64}))
)
