-- has_event_partition(time): whether an event of this time can be stored. Bounds what is recorded
-- in bulk; clients may reach less far back (app.is_recent).
create or replace function app.has_event_partition(p_event_time timestamptz)
returns boolean
language sql
stable
return to_regclass('app.' || app.event_partition_name(p_event_time)) is not null;

comment on function app.has_event_partition(timestamptz) is
'Whether app.events has a partition for this time.';

-- has_event_partitions(oldest, newest): the same for every week between two times. Asked for every
-- batch, hence a loop: a statement takes several times as long to begin.
create or replace function app.has_event_partitions(p_oldest timestamptz, p_newest timestamptz)
returns boolean
language plpgsql
stable
as $$
declare
    v_week timestamptz := app.event_week(p_oldest);
begin
    while v_week <= p_newest loop
        if not app.has_event_partition(v_week) then
            return false;
        end if;
        v_week := v_week + interval '168 hours';
    end loop;
    return true;
end;
$$;

comment on function app.has_event_partitions(timestamptz, timestamptz) is
'Whether app.events has a partition for every week between two times; true for nulls.';
