-- record_action(...): one action of one viewer, now; what the functions named after actions share.
-- True when it changed anything.
create or replace function app.record_action(
    p_viewer_id bigint,
    p_item_type text,
    p_item_id bigint,
    p_action text,
    p_event_time timestamptz default clock_timestamp(),
    p_watch_ms integer default 0,
    p_completion real default null,
    p_feed_request_id uuid default null
)
returns boolean
language plpgsql
as $$
declare
    v_recorded record;
begin
    perform app.open_pending_events();

    insert into pg_temp.pending_events (
        event_time, user_id, item_type, item_id, action, watch_ms, completion, feed_request_id
    )
    values (
        p_event_time, p_viewer_id, p_item_type, p_item_id, p_action, p_watch_ms, p_completion,
        p_feed_request_id
    );

    select
        received,
        deduped
    into v_recorded
    from app.record_events();

    return v_recorded.deduped = 0;
end;
$$;
