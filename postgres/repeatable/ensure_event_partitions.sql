-- ensure_event_partitions(from, to): makes the missing weekly partitions that cover the range,
-- both ends included; says how many it made. Attaching, unlike `partition of`, does not wait for
-- running readers and writers.
create or replace function app.ensure_event_partitions(p_from timestamptz, p_to timestamptz)
returns integer
language plpgsql
as $$
declare
    v_week timestamptz;
    v_name text;
    v_made integer := 0;
begin
    if (p_from <= p_to and isfinite(p_from) and isfinite(p_to)) is not true then
        raise exception 'event partitions from % to %: not a range of times', p_from, p_to;
    end if;

    for v_week in
        select weeks.week
        from generate_series(app.event_week(p_from), p_to, '7 days', 'utc') as weeks (week)
        where to_regclass('app.' || app.event_partition_name(weeks.week)) is null
    loop
        -- Two sessions that miss the same week: the second waits, then finds it. An advisory lock
        -- would not do: only a lock on a table makes a session look at the catalogue afresh.
        lock table app.events in share update exclusive mode;
        v_name := app.event_partition_name(v_week);
        continue when to_regclass('app.' || v_name) is not null;

        execute format('create table app.%I (like app.events including all)', v_name);
        execute format(
            'comment on table app.%I is %L',
            v_name,
            format('Events of the week that starts on %s (UTC).', (v_week at time zone 'utc')::date)
        );
        execute format(
            'alter table app.events attach partition app.%I for values from (%L) to (%L)',
            v_name,
            v_week,
            v_week + interval '168 hours'
        );
        v_made := v_made + 1;
    end loop;

    return v_made;
end;
$$;

comment on function app.ensure_event_partitions(timestamptz, timestamptz) is
'Makes the weekly partitions of app.events that a range of times needs; idempotent.';
