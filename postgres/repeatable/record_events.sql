-- record_events(): stores what stands in pending_events (app.open_pending_events), each event
-- once, and moves everything that follows from it: counters, likes, "not interested". Says how
-- many it received and how many of them changed nothing.
--
-- What changes nothing: the same viewer, item, action and second, again; and a like of what is
-- already liked (an unlike of what is not; "not interested" twice), which downstream would count
-- as a second like.
--
-- Why two calls cannot deadlock: each locks in one order: users, likes, "not interested", events,
-- video counters, post counters, and inside each by key. Hence one call per transaction: a second
-- one would begin again at the top while holding locks further down.
--
-- Joins by key only (the settings below): a plan made while a table was empty would read all of
-- it, for every batch, once it has grown.
create or replace function app.record_events(out received bigint, out deduped bigint)
language plpgsql
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
    v_problem record;
    v_has_reactions boolean;
    v_known bigint;
    v_stored bigint;
    v_unliked_videos bigint[];
    v_unliked_posts bigint[];
    v_uncommented_videos bigint[];
    v_uncommented_posts bigint[];
begin
    select
        count(*),
        coalesce(bool_or(action in ('like', 'unlike', 'not_interested')), false)
    into received, v_has_reactions
    from pg_temp.pending_events;

    -- There are few weeks in a batch, and Postgres' own message would not name the event.
    select
        min(position) as position,
        min(event_time) as event_time
    into v_problem
    from pg_temp.pending_events
    group by app.event_week(event_time)
    having to_regclass('app.' || app.event_partition_name(min(event_time))) is null
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

    if v_has_reactions then
        perform app.settle_pending_reactions();
    end if;

    with arrived as materialized (
        select
            app.event_key(user_id, item_type, item_id, action, event_time) as idempotent_key,
            date_trunc('second', event_time) as event_time,
            user_id,
            item_id,
            item_type,
            case item_type
                when 'video' then (
                    select creator_id from app.videos where id = events.item_id
                )
                when 'post' then (
                    select posts.author_id from app.posts where id = events.item_id
                )
            end as author_id,
            action,
            dwell_ms,
            watch_ms,
            case when completion is not null then least(1, greatest(0, completion)) end
                as completion,
            device,
            app_ver,
            feed_request_id
        from pg_temp.pending_events as events
    ),

    stored as (
        insert into app.events (
            idempotent_key, event_time, user_id, item_id, item_type, author_id, action,
            dwell_ms, watch_ms, completion, device, app_ver, feed_request_id
        )
        select *
        from arrived
        where author_id is not null
        order by
            event_time,
            idempotent_key
        on conflict do nothing
        returning
            item_type,
            item_id,
            action,
            dwell_ms,
            watch_ms,
            completion
    ),

    -- What takes away (unlike, uncomment) opens the row here and is subtracted below: the row
    -- proposed to an upsert must itself obey "not negative".
    video_totals as (
        insert into app.video_engagement as totals (
            video_id, views, completions, watch_ms, likes, shares, comments
        )
        select
            item_id,
            count(*) filter (where action = 'view'),
            coalesce(sum(completion::double precision), 0),
            sum(watch_ms),
            count(*) filter (where action = 'like'),
            count(*) filter (where action = 'share'),
            count(*) filter (where action = 'comment')
        from stored
        where
            item_type = 'video'
            and action in ('view', 'like', 'unlike', 'share', 'comment', 'uncomment')
        group by item_id
        order by item_id
        on conflict (video_id) do update set
            views = totals.views + excluded.views,
            completions = totals.completions + excluded.completions,
            watch_ms = totals.watch_ms + excluded.watch_ms,
            likes = totals.likes + excluded.likes,
            shares = totals.shares + excluded.shares,
            comments = totals.comments + excluded.comments
    ),

    post_totals as (
        insert into app.post_engagement as totals (
            post_id, exposures, views, likes, shares, comments, dwell_ms
        )
        select
            item_id,
            count(*) filter (where action = 'impression'),
            count(*) filter (where action = 'view'),
            count(*) filter (where action = 'like'),
            count(*) filter (where action = 'share'),
            count(*) filter (where action = 'comment'),
            sum(dwell_ms)
        from stored
        where
            item_type = 'post'
            and (
                dwell_ms > 0
                or action in (
                    'impression', 'view', 'like', 'unlike', 'share', 'comment', 'uncomment'
                )
            )
        group by item_id
        order by item_id
        on conflict (post_id) do update set
            exposures = totals.exposures + excluded.exposures,
            views = totals.views + excluded.views,
            likes = totals.likes + excluded.likes,
            shares = totals.shares + excluded.shares,
            comments = totals.comments + excluded.comments,
            dwell_ms = totals.dwell_ms + excluded.dwell_ms
    )

    select
        (select count(author_id) from arrived),
        count(*),
        array_agg(item_id) filter (where item_type = 'video' and action = 'unlike'),
        array_agg(item_id) filter (where item_type = 'post' and action = 'unlike'),
        array_agg(item_id) filter (where item_type = 'video' and action = 'uncomment'),
        array_agg(item_id) filter (where item_type = 'post' and action = 'uncomment')
    into
        v_known,
        v_stored,
        v_unliked_videos,
        v_unliked_posts,
        v_uncommented_videos,
        v_uncommented_posts
    from stored;

    if v_known < (select count(*) from pg_temp.pending_events) then
        perform app.refuse_unknown_items();
    end if;

    -- These rows are locked already, by the upserts above: no order to keep.
    if v_unliked_videos is not null or v_uncommented_videos is not null then
        update app.video_engagement as totals
        set
            likes = totals.likes - taken.likes,
            comments = totals.comments - taken.comments
        from (
            select
                item_id,
                count(*) filter (where what = 'like') as likes,
                count(*) filter (where what = 'comment') as comments
            from (
                select 'like' as what, unnest(v_unliked_videos) as item_id
                union all
                select 'comment' as what, unnest(v_uncommented_videos) as item_id
            ) as items
            group by item_id
        ) as taken
        where totals.video_id = taken.item_id;
    end if;

    if v_unliked_posts is not null or v_uncommented_posts is not null then
        update app.post_engagement as totals
        set
            likes = totals.likes - taken.likes,
            comments = totals.comments - taken.comments
        from (
            select
                item_id,
                count(*) filter (where what = 'like') as likes,
                count(*) filter (where what = 'comment') as comments
            from (
                select 'like' as what, unnest(v_unliked_posts) as item_id
                union all
                select 'comment' as what, unnest(v_uncommented_posts) as item_id
            ) as items
            group by item_id
        ) as taken
        where totals.post_id = taken.item_id;
    end if;

    deduped := received - v_stored;
    delete from pg_temp.pending_events;
end;
$$;

comment on function app.record_events() is
'Stores the session''s pending_events once each and moves counters, likes and exclusions.';
