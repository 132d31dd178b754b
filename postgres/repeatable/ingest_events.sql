-- ingest_events(viewer, events): a client's batch, all or nothing. Refuses the first event that
-- is wrong (NV400, see app.refuse_input) and names its place, counted from 0, and its field. The
-- viewer is the token's and the author the item's; what the body says of them is not read.
create or replace function app.ingest_events(p_viewer_id bigint, p_events jsonb)
returns table (received integer, deduped integer)
language plpgsql
as $$
declare
    v_problem record;
begin
    if jsonb_typeof(p_events) is distinct from 'array' then
        perform app.refuse_input('NV400', 'events', 'must be a list');
    elsif jsonb_array_length(p_events) > 100 then
        perform app.refuse_input('NV400', 'events', 'must hold at most 100 events');
    end if;

    select
        items.ordinal - 1 as position,
        checked.field
    into v_problem
    from jsonb_array_elements(p_events) with ordinality as items (event, ordinal)
    cross join lateral (
        select app.event_problem(items.event) as field
    ) as checked
    where checked.field is not null
    order by items.ordinal
    limit 1;

    if found then
        perform app.refuse_input(
            'NV400',
            v_problem.field,
            case v_problem.field
                when 'event' then 'must be an object'
                when 'event_time' then
                    'must be an RFC 3339 time with offset, at most five minutes ahead'
                when 'item_id' then 'must be a 63-bit id, as a string or a number'
                when 'item_type' then 'must be video or post'
                when 'action' then
                    'must be impression, view, dwell, like, unlike, comment, share, '
                    'not_interested, follow_from_item or profile_visit'
                when 'dwell_ms' then 'must be a whole number from 0 to 3600000'
                when 'watch_ms' then
                    'must be a whole number from 0 to 86400000, and 0 unless a view'
                when 'completion' then 'must be a number from 0 to 1, and absent unless a view'
                when 'device' then 'must be a text of 1 to 200 characters'
                when 'app_ver' then 'must be a semantic version, such as 2.10.3'
                when 'feed_request_id' then 'must be a UUID'
            end,
            v_problem.position
        );
    end if;

    perform app.open_pending_events();

    insert into pg_temp.pending_events (
        position, event_time, user_id, item_type, item_id, action, dwell_ms, watch_ms, completion,
        device, app_ver, feed_request_id
    )
    select
        ordinal - 1,
        (event ->> 'event_time')::timestamptz,
        p_viewer_id,
        event ->> 'item_type',
        (event ->> 'item_id')::bigint,
        event ->> 'action',
        coalesce((event ->> 'dwell_ms')::integer, 0),
        coalesce((event ->> 'watch_ms')::integer, 0),
        (event ->> 'completion')::real,
        event ->> 'device',
        event ->> 'app_ver',
        (event ->> 'feed_request_id')::uuid
    from jsonb_array_elements(p_events) with ordinality as items (event, ordinal);

    return query
    select
        recorded.received::integer,
        recorded.deduped::integer
    from app.record_events() as recorded;
end;
$$;

comment on function app.ingest_events(bigint, jsonb) is
'Stores a viewer''s batch of events (at most 100): how many came and how many changed nothing.';
