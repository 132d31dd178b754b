-- settle_reactions(events): applies likes, unlikes and "not interested" to the state they change,
-- and gives back the events without those that change nothing. A part of app.store_events.
--
-- A retry may come after its like was taken back, so what is already stored goes first, by key;
-- only then is the rest compared with the state. The row locks make both true until commit.
--
-- No step joins events with events: with joins by key only, that would take the square of them.
create or replace function app.settle_reactions(p_events app.events[])
returns app.events[]
language plpgsql
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set plan_cache_mode = force_generic_plan
as $$
declare
    v_events app.events[] := p_events;
    v_exclusions app.events[];
begin
    if exists (select 1 from unnest(p_events) where action in ('like', 'unlike')) then
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

        -- A statement of its own: it sees what was committed while the locks were waited for.
        with presses as (
            select
                event,
                event.user_id,
                event.item_type,
                event.item_id,
                event.event_time,
                event.idempotent_key,
                event.action = 'like' as is_liked,
                row_number() over () as place
            from unnest(p_events) as event
            where event.action in ('like', 'unlike')
        ),

        marked as (
            select
                presses.*,
                row_number() over (
                    partition by
                        presses.event_time,
                        presses.idempotent_key
                    order by presses.place
                ) = 1
                and not exists (
                    select 1
                    from app.events
                    where
                        events.event_time = presses.event_time
                        and events.idempotent_key = presses.idempotent_key
                ) as is_fresh
            from presses
        ),

        steps as materialized (
            select
                marked.*,
                marked.is_fresh and marked.is_liked <> lag(marked.is_liked, 1, not likes.deleted)
                over (
                    partition by
                        marked.user_id,
                        marked.item_type,
                        marked.item_id,
                        marked.is_fresh
                    order by
                        marked.event_time,
                        marked.place
                ) as is_change
            from marked
            inner join app.likes
                on
                    marked.user_id = likes.user_id
                    and marked.item_type = likes.item_type
                    and marked.item_id = likes.item_id
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
                where is_change
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

        select array_agg(kept.event)
        into v_events
        from (
            select event
            from unnest(p_events) as event
            where event.action not in ('like', 'unlike')
            union all
            select event
            from steps
            where is_change
        ) as kept;
    end if;

    if exists (select 1 from unnest(v_events) where action = 'not_interested') then
        v_exclusions := array(
            select event
            from unnest(v_events) as event
            where
                event.action = 'not_interested'
                and not exists (
                    select 1
                    from app.events
                    where
                        events.event_time = event.event_time
                        and events.idempotent_key = event.idempotent_key
                )
        );

        insert into app.not_interested as exclusions (user_id, video_id, created_at)
        select
            user_id,
            item_id,
            min(event_time)
        from unnest(v_exclusions)
        where item_type = 'video'
        group by
            user_id,
            item_id
        order by
            user_id,
            item_id
        on conflict (user_id, video_id) do update set
            deleted = false,
            created_at = excluded.created_at
        where exclusions.deleted;

        insert into app.not_interested_posts as exclusions (user_id, post_id, created_at)
        select
            user_id,
            item_id,
            min(event_time)
        from unnest(v_exclusions)
        where item_type = 'post'
        group by
            user_id,
            item_id
        order by
            user_id,
            item_id
        on conflict (user_id, post_id) do update set
            deleted = false,
            created_at = excluded.created_at
        where exclusions.deleted;

        -- Those that were just written, at the time of this event, are this event's doing.
        v_events := array(
            select event
            from unnest(v_events) as event
            where
                event.action <> 'not_interested'
                or case event.item_type
                    when 'video' then exists (
                        select 1
                        from app.not_interested as exclusions
                        where
                            exclusions.user_id = event.user_id
                            and exclusions.video_id = event.item_id
                            and exclusions.created_at = event.event_time
                            and exclusions._txid = pg_current_xact_id()::text::bigint
                    )
                    else exists (
                        select 1
                        from app.not_interested_posts as exclusions
                        where
                            exclusions.user_id = event.user_id
                            and exclusions.post_id = event.item_id
                            and exclusions.created_at = event.event_time
                            and exclusions._txid = pg_current_xact_id()::text::bigint
                    )
                end
        );
    end if;

    return v_events;
end;
$$;

comment on function app.settle_reactions(app.events[]) is
'Part of app.store_events: applies likes and exclusions, drops the events that change nothing.';
