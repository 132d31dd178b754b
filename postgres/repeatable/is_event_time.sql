-- event_time_pattern(): RFC 3339 with offset, as a regular expression without anchors.
create or replace function app.event_time_pattern()
returns text
language sql
immutable
parallel safe
return '[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,9})?'
|| '([Zz]|[+-][0-9]{2}:[0-9]{2})';

comment on function app.event_time_pattern() is
'Regular expression of an RFC 3339 time with offset, without anchors.';

-- is_event_time(text): an RFC 3339 time with offset, and one that Postgres can store.
create or replace function app.is_event_time(p_text text)
returns boolean
language sql
stable
parallel safe
return
p_text ~ ('^' || app.event_time_pattern() || '$') and pg_input_is_valid(p_text, 'timestamptz');

comment on function app.is_event_time(text) is 'Whether a text is an RFC 3339 time with offset.';
