-- event_week(time), event_partition_name(time): the partition a time belongs to, named after the
-- Monday (UTC) its week starts on. One place decides the width; everything else asks here.
create or replace function app.event_week(p_event_time timestamptz)
returns timestamptz
language sql
immutable
parallel safe
return date_bin('7 days', p_event_time, '2001-01-01 00:00:00+00'::timestamptz);

comment on function app.event_week(timestamptz) is
'Start of the week (Monday, UTC) whose partition of app.events holds a time.';

create or replace function app.event_partition_name(p_event_time timestamptz)
returns text
language sql
immutable
parallel safe
return 'events_' || to_char(app.event_week(p_event_time) at time zone 'utc', '"y"YYYY"m"MM"d"DD');

comment on function app.event_partition_name(timestamptz) is
'Name of the weekly partition of app.events that holds a time.';
