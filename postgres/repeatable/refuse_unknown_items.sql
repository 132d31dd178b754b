-- refuse_unknown_items(): stops at the first pending event whose video or post does not exist.
-- Deleted ones exist: what was seen just before a deletion may be reported just after it.
create or replace function app.refuse_unknown_items()
returns void
language plpgsql
as $$
declare
    v_event record;
begin
    select
        position,
        item_type,
        item_id
    into v_event
    from pg_temp.pending_events as events
    where
        case item_type
            when 'video' then not exists (select 1 from app.videos where id = events.item_id)
            when 'post' then not exists (select 1 from app.posts where id = events.item_id)
            else true
        end
    order by position
    limit 1;

    if not found then
        return;
    elsif v_event.item_type not in ('video', 'post') then
        perform app.refuse_input(
            'NV400', 'item_type', 'must be video or post', v_event.position
        );
    else
        perform app.refuse_input(
            'NV400',
            'item_id',
            format('names no %s: %s', v_event.item_type, v_event.item_id),
            v_event.position
        );
    end if;
end;
$$;

comment on function app.refuse_unknown_items() is
'Raises NV400 for the first pending event about an item that does not exist.';
