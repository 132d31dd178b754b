-- is_timely(time): clients' clocks run ahead, but not by more than this.
create or replace function app.is_timely(p_event_time timestamptz)
returns boolean
language sql
stable
parallel safe
return p_event_time <= now() + interval '5 minutes';

comment on function app.is_timely(timestamptz) is
'Whether a time is at most five minutes ahead, as clients'' clocks may be.';
