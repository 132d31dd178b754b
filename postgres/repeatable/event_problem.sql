-- event_problem(event): the first field of a client's event that is wrong, null when none is.
-- `case` looks at one condition after the other, so a cast is reached only when it is safe.
create or replace function app.event_problem(p_event jsonb)
returns text
language sql
stable
parallel safe
return case
    when jsonb_typeof(p_event) <> 'object' then 'event'
    when
        coalesce(
            p_event ->> 'event_time'
            !~ '^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$',
            true
        )
        then 'event_time'
    when not pg_input_is_valid(p_event ->> 'event_time', 'timestamptz') then 'event_time'
    when (p_event ->> 'event_time')::timestamptz > now() + interval '5 minutes' then 'event_time'
    when coalesce(p_event ->> 'item_id' !~ '^\d{1,19}$', true) then 'item_id'
    when not pg_input_is_valid(p_event ->> 'item_id', 'bigint') then 'item_id'
    when coalesce(p_event ->> 'item_type' not in ('video', 'post'), true) then 'item_type'
    when
        coalesce(
            p_event ->> 'action' not in (
                'impression', 'view', 'dwell', 'like', 'unlike', 'comment', 'share',
                'not_interested', 'follow_from_item', 'profile_visit'
            ),
            true
        )
        then 'action'
    when coalesce(p_event ->> 'dwell_ms' !~ '^\d{1,7}$', false) then 'dwell_ms'
    when (p_event ->> 'dwell_ms')::integer > 3600000 then 'dwell_ms'
    when coalesce(p_event ->> 'watch_ms' !~ '^\d{1,8}$', false) then 'watch_ms'
    when (p_event ->> 'watch_ms')::integer > 86400000 then 'watch_ms'
    when (p_event ->> 'watch_ms')::integer > 0 and p_event ->> 'action' <> 'view' then 'watch_ms'
    when
        p_event ->> 'completion' is not null
        and (
            jsonb_typeof(p_event -> 'completion') <> 'number' or p_event ->> 'action' <> 'view'
        )
        then 'completion'
    when (p_event ->> 'completion')::numeric not between 0 and 1 then 'completion'
    when coalesce(p_event ->> 'device' !~ '\S' or length(p_event ->> 'device') > 200, true)
        then 'device'
    when
        coalesce(
            p_event ->> 'app_ver'
            !~ '^\d{1,9}\.\d{1,9}\.\d{1,9}([-+][0-9A-Za-z.+-]{1,64})?$',
            true
        )
        then 'app_ver'
    when not pg_input_is_valid(p_event ->> 'feed_request_id', 'uuid') then 'feed_request_id'
end;

comment on function app.event_problem(jsonb) is
'Name of the first field that is wrong in an event as a client sends it; null when none is.';
