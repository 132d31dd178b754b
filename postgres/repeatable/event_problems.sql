-- event_problems(events): every faulty field of every bad event, in order, at most 100; no rows
-- when app.ingest_events would take the batch. An event that is no object has one problem, the
-- field `event`; a list that is none, or too long, has one of the field `events`, without an index.
create or replace function app.event_problems(p_events jsonb)
returns table (index integer, field text, message text)
language plpgsql
stable
as $$
begin
    if jsonb_typeof(p_events) is distinct from 'array' then
        return query select null::integer, 'events', 'must be a list';
        return;
    elsif jsonb_array_length(p_events) > 100 then
        return query select null::integer, 'events', 'must hold at most 100 events';
        return;
    end if;

    return query
    select
        problems.index,
        problems.field,
        problems.message
    from (
        select
            items.ordinal::integer - 1 as index,
            fields.field,
            fields.ordinal as field_ordinal,
            case
                when jsonb_typeof(items.event) <> 'object' then 'must be an object'
                else app.event_field_problem(
                    fields.field, items.event -> fields.field, items.event ->> 'action'
                )
            end as message
        from jsonb_array_elements(p_events) with ordinality as items (event, ordinal)
        cross join lateral unnest(
            case
                when jsonb_typeof(items.event) <> 'object' then array['event']
                else array[
                    'event_time', 'item_id', 'item_type', 'action', 'dwell_ms', 'watch_ms',
                    'completion', 'device', 'app_ver', 'feed_request_id'
                ]
            end
        ) with ordinality as fields (field, ordinal)
    ) as problems
    where problems.message is not null
    order by
        problems.index,
        problems.field_ordinal
    limit 100;
end;
$$;

comment on function app.event_problems(jsonb) is
'One row per faulty field of a client''s batch of events (at most 100): its place, counted from 0, '
'the field, and what is wrong in words.';
