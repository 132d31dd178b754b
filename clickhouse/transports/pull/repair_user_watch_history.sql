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
with

viewers as (

    select events.user_id
    from raw.events as events
    where
        events._txid > {from_txid:UInt64} -- noqa: PRS, LT02
        and events._txid <= {to_txid:UInt64}

),

seen as (

    select
        user_id,
        item_type,
        item_id,
        event_time as watched_at,
        toInt64(1) as watches,
        true as is_recount
    from raw.events
    where
        action = 'view'
        and user_id in (select viewers.user_id from viewers)

    union all

    select
        user_id,
        item_type,
        item_id,
        watched_at,
        toInt64(watches) as watches,
        false as is_recount
    from raw.user_watch_history
    where user_id in (select viewers.user_id from viewers)

)

select
    seen.user_id,
    seen.item_type,
    seen.item_id,
    maxIf(seen.watched_at, seen.is_recount) as newest_at,
    greatest(
        sumIf(seen.watches, seen.is_recount) - sumIf(seen.watches, not seen.is_recount), 0
    ) as missing_watches
from seen
group by
    seen.user_id,
    seen.item_type,
    seen.item_id
having
    missing_watches > 0
    or newest_at > maxIf(seen.watched_at, not seen.is_recount)
