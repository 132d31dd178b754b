-- maintain_event_partitions(): what has to happen every day or so. Runs after every migration, so
-- that a database that slept for a month accepts events again.
create or replace function app.maintain_event_partitions(
    p_keep interval default '35 days',
    p_ahead interval default '21 days'
)
returns integer
language sql
as $$
    select app.drop_expired_event_partitions(p_keep)
        + app.ensure_event_partitions(now() - p_keep, now() + p_ahead)
$$;

comment on function app.maintain_event_partitions(interval, interval) is
'Drops expired partitions of app.events, makes those ahead; says how many changed.';

select app.ensure_event_partitions(now() - interval '35 days', now() + interval '21 days');
