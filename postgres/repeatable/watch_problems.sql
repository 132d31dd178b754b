-- watch_problems(watches): what app.event_problems is to events, for app.watch_videos.
create or replace function app.watch_problems(p_watches jsonb)
returns table (index integer, field text, message text)
language plpgsql
stable
as $$
begin
    if jsonb_typeof(p_watches) is distinct from 'array' then
        return query select null::integer, 'watches', 'must be a list';
        return;
    elsif jsonb_array_length(p_watches) > 100 then
        return query select null::integer, 'watches', 'must hold at most 100 playbacks';
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
                when jsonb_typeof(items.watch) <> 'object' then 'must be an object'
                when
                    items.watch ->> fields.field is null
                    and fields.field in ('event_time', 'completion', 'feed_request_id')
                    then null
                when items.watch ->> fields.field is null then 'is required'
                else app.event_field_problem(
                    fields.field, items.watch -> fields.field, 'view'
                )
            end as message
        from jsonb_array_elements(p_watches) with ordinality as items (watch, ordinal)
        cross join lateral unnest(
            case
                when jsonb_typeof(items.watch) <> 'object' then array['watch']
                else array[
                    'video_id', 'watch_ms', 'completion', 'feed_request_id', 'event_time'
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

comment on function app.watch_problems(jsonb) is
'One row per faulty field of a batch of playbacks (at most 100): its place, counted from 0, the '
'field, and what is wrong in words.';
