-- store_events(events): stores rows made by app.event_row, each event once, and moves everything
-- that follows from it: counters, likes, "not interested". Says how many were new, and the totals
-- of every item whose totals moved (app.changed_item). Viewers and items must be known.
--
-- What is not new: the same viewer, item, action and second, again; and a like of what is already
-- liked (an unlike of what is not; "not interested" twice), which downstream would count as a
-- second like.
--
-- Why two calls cannot deadlock: each locks in one order: users, likes, "not interested" (videos,
-- then posts), events, video counters, post counters, and inside each by key. Hence one call per
-- transaction: a second one would begin again at the top while holding locks further down.
--
-- Joins by key only (the settings below): a plan made while a table was empty would read all of
-- it, for every batch, once it has grown. One plan for all batches: planning costs as much as
-- storing fifty events.
create or replace function app.store_events(
    p_events app.events[],
    out stored bigint,
    out changed jsonb
)
language plpgsql
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set plan_cache_mode = force_generic_plan
as $$
declare
    v_reactions app.events[];
begin
    -- Few events are reactions, and only they need what follows.
    v_reactions := array(
        select event
        from unnest(p_events) as event
        where event.action in ('like', 'unlike', 'not_interested')
    );
    if v_reactions <> '{}' then
        v_reactions := app.settle_reactions(v_reactions);
    end if;

    with new_events as (
        insert into app.events (
            idempotent_key, event_time, user_id, item_id, item_type, author_id, action,
            dwell_ms, watch_ms, completion, device, app_ver, feed_request_id
        )
        select
            idempotent_key,
            event_time,
            user_id,
            item_id,
            item_type,
            author_id,
            action,
            dwell_ms,
            watch_ms,
            completion,
            device,
            app_ver,
            feed_request_id
        from (
            select *
            from unnest(p_events)
            where action not in ('like', 'unlike', 'not_interested')
            union all
            select *
            from unnest(v_reactions)
        ) as events
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

    -- More taken away than added: subtracted from the row that is there, because the row proposed
    -- to an upsert must itself obey "not negative". Few or none.
    losses as (
        select
            item_type,
            item_id,
            greatest(
                0,
                count(*) filter (where action = 'unlike')
                - count(*) filter (where action = 'like')
            ) as likes,
            greatest(
                0,
                count(*) filter (where action = 'uncomment')
                - count(*) filter (where action = 'comment')
            ) as comments
        from new_events
        group by
            item_type,
            item_id
        having bool_or(action in ('unlike', 'uncomment'))
    ),

    video_totals as (
        insert into app.video_engagement as totals (
            video_id, views, completions, watch_ms, likes, shares, comments
        )
        select
            item_id,
            count(*) filter (where action = 'view'),
            coalesce(sum(completion::double precision), 0),
            sum(watch_ms),
            greatest(
                0,
                count(*) filter (where action = 'like')
                - count(*) filter (where action = 'unlike')
            ),
            count(*) filter (where action = 'share'),
            greatest(
                0,
                count(*) filter (where action = 'comment')
                - count(*) filter (where action = 'uncomment')
            )
        from new_events
        where
            item_type = 'video'
            and action in ('view', 'like', 'unlike', 'share', 'comment', 'uncomment')
        group by item_id
        order by item_id
        on conflict (video_id) do update set
            views = totals.views + excluded.views,
            completions = totals.completions + excluded.completions,
            watch_ms = totals.watch_ms + excluded.watch_ms,
            likes = totals.likes + excluded.likes - coalesce(
                (
                    select losses.likes
                    from losses
                    where losses.item_type = 'video' and losses.item_id = totals.video_id
                ),
                0
            ),
            shares = totals.shares + excluded.shares,
            comments = totals.comments + excluded.comments - coalesce(
                (
                    select losses.comments
                    from losses
                    where losses.item_type = 'video' and losses.item_id = totals.video_id
                ),
                0
            )
        returning
            video_id,
            _version,
            views,
            likes,
            shares,
            comments
    ),

    post_totals as (
        insert into app.post_engagement as totals (
            post_id, exposures, views, likes, shares, comments, dwell_ms
        )
        select
            item_id,
            count(*) filter (where action = 'impression'),
            count(*) filter (where action = 'view'),
            greatest(
                0,
                count(*) filter (where action = 'like')
                - count(*) filter (where action = 'unlike')
            ),
            count(*) filter (where action = 'share'),
            greatest(
                0,
                count(*) filter (where action = 'comment')
                - count(*) filter (where action = 'uncomment')
            ),
            sum(dwell_ms)
        from new_events
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
            likes = totals.likes + excluded.likes - coalesce(
                (
                    select losses.likes
                    from losses
                    where losses.item_type = 'post' and losses.item_id = totals.post_id
                ),
                0
            ),
            shares = totals.shares + excluded.shares,
            comments = totals.comments + excluded.comments - coalesce(
                (
                    select losses.comments
                    from losses
                    where losses.item_type = 'post' and losses.item_id = totals.post_id
                ),
                0
            ),
            dwell_ms = totals.dwell_ms + excluded.dwell_ms
        returning
            post_id,
            _version,
            exposures,
            views,
            likes,
            shares,
            comments,
            dwell_ms
    ),

    moved as (
        select app.changed_item(
            'video', video_id, _version, views, likes, shares, comments, 0, 0
        ) as item
        from video_totals
        union all
        select app.changed_item(
            'post', post_id, _version, views, likes, shares, comments, exposures, dwell_ms
        )
        from post_totals
    )

    select
        (select count(*) from new_events),
        (select coalesce(jsonb_agg(moved.item), '[]') from moved)
    into stored, changed;
end;
$$;

comment on function app.store_events(app.events[]) is
'Stores events once each and moves counters, likes and exclusions: how many were new (count), and '
'the totals that moved.';
