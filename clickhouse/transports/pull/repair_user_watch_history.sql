-- After a crash: adds views the history lacks against a recount of the window's viewers, nothing
-- if it is right. The history has no time to begin at, and may know views whose events expired:
-- it is never reduced.
insert into raw.user_watch_history (
    user_id,
    item_type,
    item_id,
    watched_at,
    watches
)
select
    user_id,
    item_type,
    item_id,
    maxIf(seen.watched_at, seen.is_recount) as watched_at,
    greatest(
        sumIf(seen.watches, seen.is_recount) - sumIf(seen.watches, not seen.is_recount), 0
    ) as watches
from (
    select
        user_id,
        item_type,
        item_id,
        event_time as watched_at,
        toInt64(1) as watches,
        true as is_recount
    from raw.events
    where action = 'view' and user_id in (
        select window_events.user_id
        from raw.events as window_events
        where
            window_events._txid > {from_txid:UInt64}
            and window_events._txid <= {to_txid:UInt64}
    )
    union all
    select
        user_id,
        item_type,
        item_id,
        watched_at,
        toInt64(watches) as watches,
        false as is_recount
    from raw.user_watch_history
    where user_id in (
        select window_events.user_id
        from raw.events as window_events
        where
            window_events._txid > {from_txid:UInt64}
            and window_events._txid <= {to_txid:UInt64}
    )
) as seen
group by
    user_id,
    item_type,
    item_id
having
    watches > 0
    or watched_at > maxIf(seen.watched_at, not seen.is_recount)
