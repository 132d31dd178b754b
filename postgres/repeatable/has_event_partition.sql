-- has_event_partition(time): whether an event of this time can be stored. Partitions are there for
-- as long as events are kept, so this is also what "not older than the retention" means.
create or replace function app.has_event_partition(p_event_time timestamptz)
returns boolean
language sql
stable
return to_regclass('app.' || app.event_partition_name(p_event_time)) is not null;

comment on function app.has_event_partition(timestamptz) is
'Whether app.events has a partition for this time.';

-- has_event_partitions(oldest, newest): the same for every week between two times.
create or replace function app.has_event_partitions(p_oldest timestamptz, p_newest timestamptz)
returns boolean
language sql
stable
as $$
    select coalesce(bool_and(app.has_event_partition(weeks.week)), true)
    from generate_series(
        app.event_week(p_oldest), p_newest, interval '7 days', 'utc'
    ) as weeks (week)
$$;

comment on function app.has_event_partitions(timestamptz, timestamptz) is
'Whether app.events has a partition for every week between two times; true for nulls.';
