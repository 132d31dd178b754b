-- watch_videos(viewer, watches): playbacks, at most 100, all or nothing, each with `video_id`,
-- `watch_ms`, and perhaps `completion`, `feed_request_id` and `event_time` (now when absent). A
-- video that never was is refused (NV404), one that was deleted is not: playbacks are told late.
create or replace function app.watch_videos(
    p_viewer_id bigint,
    p_watches jsonb,
    p_request_key text default null
)
returns table (received integer, deduped integer, txid bigint, changed jsonb)
language plpgsql
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set plan_cache_mode = force_generic_plan
as $$
declare
    v_problems jsonb;
    v_events app.events[];
    v_stored bigint := 0;
    v_answer jsonb;
begin
    select jsonb_agg(to_jsonb(problems)) into v_problems
    from app.watch_problems(p_watches) as problems;
    if v_problems is not null then
        perform app.refuse_input('NV400', v_problems);
    end if;

    v_events := array(
        select app.event_row(
            p_viewer_id,
            'video',
            watches.video_id,
            (select videos.creator_id from app.videos where videos.id = watches.video_id),
            'view',
            coalesce(watches.event_time, now()),
            0,
            watches.watch_ms,
            watches.completion,
            p_feed_request_id => watches.feed_request_id
        )
        from jsonb_to_recordset(p_watches) as watches (
            video_id bigint,
            watch_ms integer,
            completion numeric,
            feed_request_id uuid,
            event_time timestamptz
        )
    );

    select
        jsonb_agg(
            jsonb_build_object(
                'index', watches.ordinal - 1,
                'field', 'video_id',
                'message', 'names no video: ' || watches.item_id
            )
            order by watches.ordinal
        )
    into v_problems
    from unnest(v_events) with ordinality as watches (
        idempotent_key, event_time, user_id, item_id, item_type, author_id, action, dwell_ms,
        watch_ms, completion, device, app_ver, feed_request_id, received_at, _txid, ordinal
    )
    where watches.author_id is null;
    if v_problems is not null then
        perform app.refuse_input('NV404', v_problems);
    end if;

    v_answer := app.begin_request(p_viewer_id, 'watch_videos', p_request_key, p_watches);
    if v_answer is null then
        changed := '[]';
        if v_events <> '{}' then
            perform app.know_user(p_viewer_id);
            select
                store.stored,
                store.changed
            into v_stored, changed
            from app.store_events(v_events) as store;
        end if;

        v_answer := jsonb_build_object(
            'received', cardinality(v_events),
            'deduped', cardinality(v_events) - v_stored,
            'txid', app.current_txid()
        );
        perform app.end_request(p_viewer_id, 'watch_videos', p_request_key, v_answer);
    end if;

    received := v_answer ->> 'received';
    deduped := v_answer ->> 'deduped';
    txid := v_answer ->> 'txid';
    changed := coalesce(
        changed,
        app.changed_items(
            'video', variadic array(select watches.item_id from unnest(v_events) as watches)
        )
    );
    return next;
end;
$$;

comment on function app.watch_videos(bigint, jsonb, text) is
'Records playbacks (at most 100): how many came and how many changed nothing (counts).';
