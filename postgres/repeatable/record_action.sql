-- record_action(...): one action of one viewer; what the functions named after actions share.
-- True when it changed anything. The item must be there and not deleted (NV404).
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
begin
    perform app.require_item(p_item_type, p_item_id);
    perform app.open_pending_events();

    insert into pg_temp.pending_events (
        event_time, user_id, item_type, item_id, action, watch_ms, completion, feed_request_id
    )
    values (
        p_event_time, p_viewer_id, p_item_type, p_item_id, p_action, p_watch_ms, p_completion,
        p_feed_request_id
    );

    return (select recorded.deduped = 0 from app.record_events() as recorded);
end;
$$;

comment on function app.record_action(
    bigint, text, bigint, text, timestamptz, integer, real, uuid
) is 'Records one action of one viewer on a live item: true when it changed anything.';
