-- is_event_time(text): an RFC 3339 time with offset, and one that Postgres can store. By
-- `translate` and `like`: a regular expression takes twice as long, and this runs for every event.
create or replace function app.is_event_time(p_text text)
returns boolean
language sql
stable
parallel safe
return
translate(left(p_text, 19), '123456789t ', '000000000TT') = '0000-00-00T00:00:00'
-- A fraction or none, then Z or an offset.
and substr(p_text, 20, 1) in ('.', 'Z', 'z', '+', '-')
and ltrim(substr(p_text, 20), '.0123456789') like any('{Z,z,+__:__,-__:__}')
and length(p_text) <= 40
and pg_input_is_valid(p_text, 'timestamptz');

comment on function app.is_event_time(text) is 'Whether a text is an RFC 3339 time with offset.';
