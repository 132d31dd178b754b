-- settle_pending_reactions(): applies the likes, unlikes and "not interested" of pending_events to
-- the state they change, and takes out of pending_events those that change nothing. A part of
-- app.record_events; call that.
--
-- A retry may come after its like was taken back, so what is already stored goes first, by key;
-- only then is the rest compared with the state. The row locks make both true until commit.
create or replace function app.settle_pending_reactions()
returns void
language plpgsql
as $$
begin
    -- Before any is taken out: an unlike of an unknown video is a mistake, not a repeat.
    if exists (
        select 1
        from pg_temp.pending_events
        where action in ('unlike', 'not_interested')
    ) then
        perform app.refuse_unknown_items();
    end if;

    if exists (select 1 from pg_temp.pending_events where action in ('like', 'unlike')) then
        -- A row to lock for every pair, saying "not liked" so far; for unlikes too, else a like that
        -- commits between the lock and the comparison would be changed without its lock.
        insert into app.likes (user_id, item_type, item_id, deleted)
        select distinct
            user_id,
            item_type,
            item_id,
            true
        from pg_temp.pending_events
        where action in ('like', 'unlike')
        order by
            user_id,
            item_type,
            item_id
        on conflict do nothing;

        perform 1
        from app.likes
        inner join (
            select distinct
                user_id,
                item_type,
                item_id
            from pg_temp.pending_events
            where action in ('like', 'unlike')
        ) as pairs using (user_id, item_type, item_id)
        order by
            likes.user_id,
            likes.item_type,
            likes.item_id
        for update of likes;

        with fresh as (
            select distinct on (
                user_id, item_type, item_id, action, date_trunc('second', event_time)
            )
                pending.ctid as row,
                pending.position,
                pending.event_time,
                pending.user_id,
                pending.item_type,
                pending.item_id,
                pending.action = 'like' as is_liked
            from pg_temp.pending_events as pending
            where
                action in ('like', 'unlike')
                and not exists (
                    select 1
                    from app.events
                    where
                        events.event_time = date_trunc('second', pending.event_time)
                        and events.idempotent_key = app.event_key(
                            pending.user_id,
                            pending.item_type,
                            pending.item_id,
                            pending.action,
                            pending.event_time
                        )
                )
            order by
                user_id,
                item_type,
                item_id,
                action,
                date_trunc('second', event_time),
                position
        ),

        steps as (
            select
                fresh.row,
                fresh.is_liked,
                lag(fresh.is_liked, 1, not coalesce(likes.deleted, true)) over (
                    partition by
                        fresh.user_id,
                        fresh.item_type,
                        fresh.item_id
                    order by
                        date_trunc('second', fresh.event_time),
                        fresh.position
                ) as was_liked
            from fresh
            left join app.likes using (user_id, item_type, item_id)
        )

        delete from pg_temp.pending_events
        where
            action in ('like', 'unlike')
            and ctid not in (select steps.row from steps where steps.is_liked <> steps.was_liked);

        -- What is left of a pair alternates, so an odd number of steps turns the state over.
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
                max(date_trunc('second', event_time)) as changed_at,
                max(date_trunc('second', event_time)) filter (where action = 'like') as liked_at
            from pg_temp.pending_events
            where action in ('like', 'unlike')
            group by
                user_id,
                item_type,
                item_id
        ) as pairs
        where
            likes.user_id = pairs.user_id
            and likes.item_type = pairs.item_type
            and likes.item_id = pairs.item_id;
    end if;

    if exists (select 1 from pg_temp.pending_events where action = 'not_interested') then
        delete from pg_temp.pending_events as pending
        where
            action = 'not_interested'
            and item_type = 'video'
            and exists (
                select 1
                from app.events
                where
                    events.event_time = date_trunc('second', pending.event_time)
                    and events.idempotent_key = app.event_key(
                        pending.user_id,
                        pending.item_type,
                        pending.item_id,
                        pending.action,
                        pending.event_time
                    )
            );

        with hidden as (
            insert into app.not_interested as exclusions (user_id, video_id, created_at)
            select
                user_id,
                item_id,
                min(date_trunc('second', event_time))
            from pg_temp.pending_events
            where
                action = 'not_interested'
                and item_type = 'video'
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

        delete from pg_temp.pending_events as pending
        where
            action = 'not_interested'
            and item_type = 'video'
            and not exists (
                select 1
                from hidden
                where
                    hidden.user_id = pending.user_id
                    and hidden.video_id = pending.item_id
                    and hidden.created_at = date_trunc('second', pending.event_time)
            );
    end if;
end;
$$;

comment on function app.settle_pending_reactions() is
'Part of app.record_events: applies pending likes and exclusions, drops what changes nothing.';
