-- drop_expired_event_partitions(keep): drops the weeks that ended more than `keep` ago and says
-- how many. It waits two seconds for a lock and then gives up, so that a long reader delays the
-- cleaning and not, queued behind it, every writer.
create or replace function app.drop_expired_event_partitions(p_keep interval)
returns integer
language plpgsql
set lock_timeout = '2s'
as $$
declare
    v_name text;
    v_dropped integer := 0;
begin
    if p_keep < interval '0' then
        raise exception 'events are kept for %: less than no time', p_keep;
    end if;

    lock table app.events in share update exclusive mode;
    for v_name in
        select partitions.relname
        from pg_inherits
        inner join pg_class as partitions on pg_inherits.inhrelid = partitions.oid
        where
            pg_inherits.inhparent = 'app.events'::regclass
            -- Names sort by week; the last expired week starts seven days before the cut.
            and partitions.relname
            < app.event_partition_name(now() - p_keep)
        order by partitions.relname
    loop
        execute format('drop table app.%I', v_name);
        v_dropped := v_dropped + 1;
    end loop;

    return v_dropped;
end;
$$;

comment on function app.drop_expired_event_partitions(interval) is
'Drops partitions of app.events all of whose events are older than the time to keep.';
