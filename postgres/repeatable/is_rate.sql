-- is_rate(json): a number from 0 to 1; null for null and for a missing field.
create or replace function app.is_rate(p_value jsonb)
returns boolean
language sql
immutable
parallel safe
return case jsonb_typeof(p_value)
    when 'number' then p_value::numeric between 0 and 1
    -- null and 'null' are both absent
    when 'null' then null
    else jsonb_typeof(p_value) is null and null
end;

comment on function app.is_rate(jsonb) is
'Whether a JSON value is a number from 0 to 1; null for null.';
