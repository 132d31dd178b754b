-- settle_reactions(events): applies likes, unlikes and "not interested" to the state they change,
-- and gives back the events without those that change nothing. A part of app.store_events.
--
-- A retry may come after its like was taken back, so what is already stored goes first, by key;
-- only then is the rest compared with the state. The row locks make both true until commit.
create or replace function app.settle_reactions(p_events app.events[])
returns app.events[]
language plpgsql
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
    v_idle bigint[];
    v_idle_exclusions bigint[];
begin
    -- A row to lock for every pair, saying "not liked" so far; for unlikes too, else a like that
    -- commits between the lock and the comparison would be changed without its lock. The update
    -- that never happens is what locks a row that is there.
    insert into app.likes as pairs (user_id, item_type, item_id, deleted)
    select distinct
        user_id,
        item_type,
        item_id,
        true
    from unnest(p_events)
    where action in ('like', 'unlike')
    order by
        user_id,
        item_type,
        item_id
    on conflict (user_id, item_type, item_id) do update set deleted = pairs.deleted where false;

    -- Statement by statement: this one sees what was committed before the locks were taken.
    with presses as (
        select
            events.*,
            row_number() over (
                partition by
                    events.event_time,
                    events.idempotent_key
                order by events.ordinal
            ) as nth
        from unnest(p_events) with ordinality as events (
            idempotent_key, event_time, user_id, item_id, item_type, author_id, action, dwell_ms,
            watch_ms, completion, device, app_ver, feed_request_id, received_at, _txid, ordinal
        )
        where events.action in ('like', 'unlike')
    ),

    fresh as materialized (
        select presses.*
        from presses
        where
            presses.nth = 1
            and not exists (
                select 1
                from app.events
                where
                    events.event_time = presses.event_time
                    and events.idempotent_key = presses.idempotent_key
            )
    ),

    steps as materialized (
        select
            fresh.ordinal,
            fresh.user_id,
            fresh.item_type,
            fresh.item_id,
            fresh.event_time,
            fresh.action = 'like' as is_liked,
            lag(fresh.action = 'like', 1, not likes.deleted) over (
                partition by
                    fresh.user_id,
                    fresh.item_type,
                    fresh.item_id
                order by
                    fresh.event_time,
                    fresh.ordinal
            ) as was_liked
        from fresh
        inner join app.likes
            on
                fresh.user_id = likes.user_id
                and fresh.item_type = likes.item_type
                and fresh.item_id = likes.item_id
    ),

    -- What changes something alternates, so an odd number of steps turns the state over.
    turned as (
        update app.likes
        set
            deleted = likes.deleted <> (pairs.steps % 2 = 1),
            created_at = coalesce(pairs.liked_at, likes.created_at),
            changed_at = greatest(likes.changed_at, pairs.changed_at)
        from (
            select
                user_id,
                item_type,
                item_id,
                count(*) as steps,
                max(event_time) as changed_at,
                max(event_time) filter (where is_liked) as liked_at
            from steps
            where is_liked <> was_liked
            group by
                user_id,
                item_type,
                item_id
        ) as pairs
        where
            likes.user_id = pairs.user_id
            and likes.item_type = pairs.item_type
            and likes.item_id = pairs.item_id
    )

    select array_agg(presses.ordinal)
    into v_idle
    from presses
    where
        not exists (
            select 1
            from steps
            where
                steps.ordinal = presses.ordinal
                and steps.is_liked <> steps.was_liked
        );

    if exists (
        select 1
        from unnest(p_events)
        where
            action = 'not_interested'
            and item_type = 'video'
    ) then
        with presses as (
            select
                events.ordinal,
                events.user_id,
                events.item_id,
                events.event_time,
                exists (
                    select 1
                    from app.events as earlier
                    where
                        earlier.event_time = events.event_time
                        and earlier.idempotent_key = events.idempotent_key
                ) as is_stored
            from unnest(p_events) with ordinality as events (
                idempotent_key, event_time, user_id, item_id, item_type, author_id, action,
                dwell_ms, watch_ms, completion, device, app_ver, feed_request_id, received_at,
                _txid, ordinal
            )
            where
                events.action = 'not_interested'
                and events.item_type = 'video'
        ),

        hidden as (
            insert into app.not_interested as exclusions (user_id, video_id, created_at)
            select
                user_id,
                item_id,
                min(event_time)
            from presses
            where not is_stored
            group by
                user_id,
                item_id
            order by
                user_id,
                item_id
            on conflict (user_id, video_id) do update set
                deleted = false,
                created_at = excluded.created_at
            where exclusions.deleted
            returning
                user_id,
                video_id,
                created_at
        )

        select array_agg(presses.ordinal)
        into v_idle_exclusions
        from presses
        where
            presses.is_stored
            or not exists (
                select 1
                from hidden
                where
                    hidden.user_id = presses.user_id
                    and hidden.video_id = presses.item_id
                    and hidden.created_at = presses.event_time
            );
    end if;

    v_idle := v_idle || v_idle_exclusions;
    if v_idle is null then
        return p_events;
    end if;

    return array(
        select p_events[place]
        from generate_subscripts(p_events, 1) as places (place)
        where place <> all(v_idle)
        order by place
    );
end;
$$;

comment on function app.settle_reactions(app.events[]) is
'Part of app.store_events: applies likes and exclusions, drops the events that change nothing.';
