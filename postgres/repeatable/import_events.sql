-- import_events(covered_until): records the events that a converter put into pending_events, as
-- the API does, and says per kind how many there were and how many were new.
--
-- Events expire by week, counters never do. What an earlier import of the same data set covered and
-- the store has since dropped must stay dropped: recorded again, it would be counted again.
create or replace function app.import_events(p_covered_until timestamptz)
returns table (entity text, read_rows bigint, inserted_rows bigint)
language plpgsql
as $$
declare
    v_week timestamptz;
begin
    create temporary table if not exists import_read_events (
        device text not null,
        action text not null,
        read_rows bigint not null
    )
    on commit delete rows;
    delete from import_read_events;
    insert into import_read_events (device, action, read_rows)
    select
        pending_events.device,
        pending_events.action,
        count(*)
    from pending_events
    group by
        pending_events.device,
        pending_events.action;

    -- Of rows that share a key the first in the file is kept, on every run the same one.
    delete from pending_events
    using (
        select
            events.ctid,
            row_number() over (
                partition by
                    events.user_id,
                    events.item_type,
                    events.item_id,
                    events.action,
                    events.event_time
                order by events.position
            ) as nth
        from pending_events as events
    ) as repeats
    where
        pending_events.ctid = repeats.ctid
        and repeats.nth > 1;

    for v_week in
        select distinct app.event_week(pending_events.event_time)
        from pending_events
    loop
        if to_regclass('app.' || app.event_partition_name(v_week)) is null then
            delete from pending_events
            where
                app.event_week(pending_events.event_time) = v_week
                and pending_events.event_time <= p_covered_until;
        end if;
        if exists (
            select 1
            from pending_events
            where app.event_week(pending_events.event_time) = v_week
        ) then
            perform app.ensure_event_partitions(v_week, v_week);
        end if;
    end loop;

    perform app.record_events();

    return query
    with stored as (
        select
            events.device,
            events.action,
            count(*) as stored_rows
        from app.events
        where events._txid = pg_current_xact_id()::text::bigint
        group by
            events.device,
            events.action
    )

    select
        case when import_read_events.device like '%history' then 'history_' else '' end
        || case import_read_events.action
            when 'view' then 'plays'
            when 'not_interested' then 'not_interested'
            when 'follow_from_item' then 'follows'
            else import_read_events.action || 's'
        end,
        import_read_events.read_rows,
        coalesce(stored.stored_rows, 0)
    from import_read_events
    left join stored
        on
            import_read_events.device = stored.device
            and import_read_events.action = stored.action;
end;
$$;

comment on function app.import_events(timestamptz) is
'Records pending events and says per kind how many there were and how many were new.';
