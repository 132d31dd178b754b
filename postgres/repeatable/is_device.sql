-- is_device(json): the name a client gives its device, for reports; any text that says something.
create or replace function app.is_device(p_value jsonb)
returns boolean
language sql
immutable
parallel safe
return
jsonb_typeof(p_value) = 'string'
and p_value #>> '{}' ~ '\S'
and length(p_value #>> '{}') <= 200;

comment on function app.is_device(jsonb) is
'Whether a JSON value is a text of at most 200 characters, not all of them spaces.';
