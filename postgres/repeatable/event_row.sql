-- event_row(...): an event as it will be stored, with its key. The one place that knows the order
-- of the columns of app.events; arrays of these rows are what app.store_events takes.
--
-- Inlined by the planner: the time is cut to its second by its callers' own arithmetic only here.
create or replace function app.event_row(
    p_user_id bigint,
    p_item_type text,
    p_item_id bigint,
    p_author_id bigint,
    p_action text,
    p_event_time timestamptz,
    p_dwell_ms integer default 0,
    p_watch_ms integer default 0,
    p_completion numeric default null,
    p_device text default '',
    p_app_ver text default '',
    p_feed_request_id uuid default null
)
returns app.events
language sql
stable
parallel safe
return row(
    app.event_key(p_user_id, p_item_type, p_item_id, p_action, p_event_time),
    date_trunc('second', p_event_time),
    p_user_id,
    p_item_id,
    p_item_type,
    p_author_id,
    p_action,
    p_dwell_ms,
    p_watch_ms,
    -- Rounded first: `real` refuses numbers as small as 1e-50.
    case
        when p_completion is not null then round(least(1, greatest(0, p_completion)), 6)::real
    end,
    p_device,
    p_app_ver,
    p_feed_request_id,
    null,
    null
)::app.events;

comment on function app.event_row(
    bigint, text, bigint, bigint, text, timestamptz, integer, integer, numeric, text, text, uuid
) is 'Row of app.events as it will be stored, in whole seconds and with its key.';
