-- record_events(): in bulk, what stands in pending_events (app.open_pending_events): stores it by
-- app.store_events and says how many there were and how many of them changed nothing.
create or replace function app.record_events(out received bigint, out deduped bigint)
language plpgsql
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
    v_problem record;
    v_events app.events[];
begin
    -- There are few weeks in a batch, and Postgres' own message would not name the event.
    select
        min(position) as position,
        min(event_time) as event_time
    into v_problem
    from pg_temp.pending_events
    group by app.event_week(event_time)
    having not app.has_event_partition(min(event_time))
    order by 1
    limit 1;

    if found then
        perform app.refuse_input(
            'NV400',
            'event_time',
            format('is %s: too old or too far ahead to be stored', v_problem.event_time),
            v_problem.position
        );
    end if;

    -- A viewer is whoever the identity provider let in; the first action makes them known here.
    insert into app.users (id)
    select viewers.user_id
    from (select distinct user_id from pg_temp.pending_events) as viewers
    where not exists (select 1 from app.users where id = viewers.user_id)
    order by viewers.user_id
    on conflict do nothing;

    v_events := array(
        select app.event_row(
            events.user_id,
            events.item_type,
            events.item_id,
            events.author_id,
            events.action,
            events.event_time,
            events.dwell_ms,
            events.watch_ms,
            events.completion::numeric,
            events.device,
            events.app_ver,
            events.feed_request_id
        )
        from (
            select
                pending.*,
                case pending.item_type
                    when 'video' then (
                        select creator_id from app.videos where id = pending.item_id
                    )
                    when 'post' then (
                        select posts.author_id from app.posts where id = pending.item_id
                    )
                end as author_id
            from pg_temp.pending_events as pending
        ) as events
        order by events.position
    );

    if exists (select 1 from unnest(v_events) where author_id is null) then
        select
            pending.position,
            pending.item_type,
            pending.item_id
        into v_problem
        from pg_temp.pending_events as pending
        where
            case pending.item_type
                when 'video' then not exists (
                    select 1 from app.videos where id = pending.item_id
                )
                when 'post' then not exists (
                    select 1 from app.posts where id = pending.item_id
                )
                else true
            end
        order by pending.position
        limit 1;

        perform app.refuse_input(
            'NV404',
            'item_id',
            format('names no %s: %s', v_problem.item_type, v_problem.item_id),
            v_problem.position
        );
    end if;

    received := coalesce(cardinality(v_events), 0);
    deduped := received - (select stored from app.store_events(v_events));
    delete from pg_temp.pending_events;
end;
$$;

comment on function app.record_events() is
'Stores the session''s pending_events once each: how many there were, how many changed nothing.';
