-- record_repeatable_action(viewer, type, id, action): an action that is never a repeat: at the
-- first second from now on that does not hold one yet. Whoever has filled the next five minutes is
-- refused (NV429): events must not run away from the clock, nor the search for a free second.
create or replace function app.record_repeatable_action(
    p_viewer_id bigint,
    p_item_type text,
    p_item_id bigint,
    p_action text
)
returns void
language plpgsql
as $$
declare
    v_event_time timestamptz := clock_timestamp();
begin
    while not app.record_action(p_viewer_id, p_item_type, p_item_id, p_action, v_event_time) loop
        v_event_time := v_event_time + interval '1 second';
        if v_event_time > clock_timestamp() + interval '5 minutes' then
            perform app.refuse_input('NV429', 'item_id', 'was acted on too often, too quickly');
        end if;
    end loop;
end;
$$;

comment on function app.record_repeatable_action(bigint, text, bigint, text) is
'Part of app.comment_on_item and app.delete_comment: records an action that may happen twice '
'within a second.';
