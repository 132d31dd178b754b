-- record_action(...): one action of one viewer; what the functions named after actions share.
-- True when it changed anything. The item must be there (NV404, NV410).
create or replace function app.record_action(
    p_viewer_id bigint,
    p_item_type text,
    p_item_id bigint,
    p_action text,
    p_event_time timestamptz default clock_timestamp(),
    p_watch_ms integer default 0,
    p_completion numeric default null,
    p_feed_request_id uuid default null
)
returns boolean
language plpgsql
as $$
declare
    v_author_id constant bigint := app.require_item(p_item_type, p_item_id);
    v_event constant app.events := app.event_row(
        p_viewer_id,
        p_item_type,
        p_item_id,
        v_author_id,
        p_action,
        p_event_time,
        p_watch_ms => p_watch_ms,
        p_completion => p_completion,
        p_feed_request_id => p_feed_request_id
    );
begin
    perform app.know_user(p_viewer_id);
    return (select store.stored > 0 from app.store_events(array[v_event]) as store);
end;
$$;

comment on function app.record_action(
    bigint, text, bigint, text, timestamptz, integer, numeric, uuid
) is 'Records one action of one viewer on a live item: true when it changed anything.';
