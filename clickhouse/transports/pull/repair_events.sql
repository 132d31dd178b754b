-- After a crash: events of a window that the engine believes to have and has not.
--
-- It notes a block as known before the block is in place, so a kill in between loses the block
-- for every repeat. Not further back than `since`: older events may have expired, and must not
-- come back into the rollups.
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
from
    postgresql( -- noqa: PRS
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
where
    event_time >= {since:DateTime('UTC')}
    and (event_time, idempotent_key) not in (
        select
            stored.event_time,
            stored.idempotent_key
        from raw.events as stored
        where stored._txid > {from_txid:UInt64} and stored._txid <= {to_txid:UInt64}
    )
