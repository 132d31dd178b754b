-- batch_problems(batch, list, member, members, fields, required, action): every faulty field of
-- every bad member of a batch, in order, at most 100; no rows when all are good. A member that is
-- no object has one problem, the field `member`; a batch that is no list, or too long, has one of
-- the field `list`, without an index. `members` is what a message calls them. The action is that of
-- each member, where there is none given.
create or replace function app.batch_problems(
    p_batch jsonb,
    p_list text,
    p_member text,
    p_members text,
    p_fields text[],
    p_required text[],
    p_action text default null
)
returns table (index integer, field text, message text)
language plpgsql
stable
as $$
begin
    if jsonb_typeof(p_batch) is distinct from 'array' then
        return query select null::integer, p_list, 'must be a list';
        return;
    elsif jsonb_array_length(p_batch) > 100 then
        return query
        select null::integer, p_list, format('must hold at most 100 %s', p_members);
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
                when jsonb_typeof(items.member) <> 'object' then 'must be an object'
                when items.member ->> fields.field is not null
                    then app.event_field_problem(
                        fields.field,
                        items.member -> fields.field,
                        coalesce(p_action, items.member ->> 'action')
                    )
                when fields.field = any(p_required) then 'is required'
            end as message
        from jsonb_array_elements(p_batch) with ordinality as items (member, ordinal)
        cross join lateral unnest(
            case
                when jsonb_typeof(items.member) <> 'object' then array[p_member] else p_fields
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

comment on function app.batch_problems(jsonb, text, text, text, text[], text[], text) is
'One row per faulty field of a client''s batch (at most 100): its place, counted from 0, the '
'field, and what is wrong in words.';
