-- is_uuid(text): with its hyphens, as the API prints them; null for null. Postgres also takes it
-- without, and then a long number would pass for one.
create or replace function app.is_uuid(p_text text)
returns boolean
language sql
stable
parallel safe
return p_text like '________-____-____-____-____________' and pg_input_is_valid(p_text, 'uuid');

comment on function app.is_uuid(text) is 'Whether a text is a UUID with hyphens; null for null.';
