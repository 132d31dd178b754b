-- queue_events(events): keeps those of a viewer's events whose item nobody knows (no author) until
-- it appears. Says how many were new to the queue. A viewer has room for 1000: more than that is no
-- replication delay, and a client that makes ids up must not fill the disk.
--
-- The viewer's row is locked, so that two batches at once cannot both use the last places.
create or replace function app.queue_events(p_events app.events[])
returns integer
language plpgsql
as $$
declare
    c_room constant integer := 1000;
    v_event record;
    v_waiting integer;
    v_queued integer;
begin
    select
        events.ordinal - 1 as index,
        events.user_id,
        events.item_type,
        events.item_id
    into v_event
    from unnest(p_events) with ordinality as events (
        idempotent_key, event_time, user_id, item_id, item_type, author_id, action, dwell_ms,
        watch_ms, completion, device, app_ver, feed_request_id, received_at, _txid, ordinal
    )
    where events.author_id is null
    order by events.ordinal
    limit 1;

    perform 1
    from app.users
    where id = v_event.user_id
    for no key update;

    select count(*) into v_waiting
    from app.unknown_item_events
    where user_id = v_event.user_id;

    insert into app.unknown_item_events (
        idempotent_key, event_time, user_id, item_id, item_type, action, dwell_ms, watch_ms,
        completion, device, app_ver, feed_request_id
    )
    select
        idempotent_key,
        event_time,
        user_id,
        item_id,
        item_type,
        action,
        dwell_ms,
        watch_ms,
        completion,
        device,
        app_ver,
        feed_request_id
    from unnest(p_events)
    where author_id is null
    order by
        idempotent_key,
        event_time
    on conflict do nothing;
    get diagnostics v_queued = row_count;

    if v_waiting + v_queued > c_room then
        perform app.refuse_input(
            'NV400',
            'item_id',
            format(
                'names no %s: %s, and only %s events may wait for items to appear',
                v_event.item_type,
                v_event.item_id,
                c_room
            ),
            v_event.index
        );
    end if;

    return v_queued;
end;
$$;

comment on function app.queue_events(app.events[]) is
'Queues a viewer''s events whose item is not known yet: how many were new to the queue (count).';
