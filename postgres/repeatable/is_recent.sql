-- is_recent(time): the analytical store forgets events after 30 days. What a client reports later
-- than that would move the running totals here and be nowhere else. In hours, because a day of the
-- session's time zone may have 23 or 25.
create or replace function app.is_recent(p_event_time timestamptz)
returns boolean
language sql
stable
parallel safe
return p_event_time >= now() - interval '720 hours';

comment on function app.is_recent(timestamptz) is
'Whether a time is not older than 30 days, as long as the analytical store keeps events.';
