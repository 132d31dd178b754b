-- ingest_events(viewer, events): a client's batch, all or nothing. Refuses it (NV400) with every
-- fault that app.event_problems finds. The viewer is the token's and the author the item's; what
-- the body says of them is not read.
--
-- Events about items nobody knows yet are queued (app.queue_events): received now, and stored when
-- the item appears. What was received is new, deduped or queued.
create or replace function app.ingest_events(p_viewer_id bigint, p_events jsonb)
returns table (received integer, deduped integer, queued integer, txid bigint, changed jsonb)
language plpgsql
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set plan_cache_mode = force_generic_plan
as $$
declare
    v_problems jsonb;
    v_is_good boolean := false;
    v_device jsonb;
    v_app_ver text;
    v_events app.events[];
    v_unknown integer;
    v_oldest timestamptz;
    v_newest timestamptz;
    v_stored bigint;
begin
    if
        jsonb_typeof(p_events) = 'array'
        and jsonb_array_length(p_events) <= 100
        and not jsonb_path_exists(p_events, 'strict $[*] ? (@.type() != "object")')
    then
        -- Most of a batch names one device and version: what is known to be good is compared.
        v_device := case when app.is_device(p_events #> '{0,device}') then p_events #> '{0,device}' end;
        v_app_ver := case
            when app.is_semantic_version(p_events #>> '{0,app_ver}') then p_events #>> '{0,app_ver}'
        end;

        -- `case` asks one after the other, so a cast is reached only when it is safe.
        select
            coalesce(
                bool_and(
                    case
                        when not pg_input_is_valid(batch.event_time, 'timestamptz') then false
                        when app.is_id(batch.item_id) is not true then false
                        when app.is_item_type(batch.item_type) is not true then false
                        when app.is_client_action(batch.action) is not true then false
                        when app.is_whole_number(batch.dwell_ms, 3600000) is false then false
                        when app.is_whole_number(batch.watch_ms, 86400000) is false then false
                        when app.is_rate(batch.completion) is false then false
                        when
                            batch.action <> 'view'
                            and (batch.watch_ms::integer > 0 or batch.completion is not null)
                            then false
                        when
                            (batch.device = v_device or app.is_device(batch.device)) is not true
                            then false
                        when
                            (
                                batch.app_ver = v_app_ver
                                or app.is_semantic_version(batch.app_ver)
                            ) is not true
                            then false
                        when app.is_uuid(batch.feed_request_id) is false then false
                        else true
                    end
                )
                -- All times at once, one a line: an expression is prepared for every text anew,
                -- and that takes longer than matching. A valid time holds no line of its own.
                and string_agg(batch.event_time, e'\n')
                ~ ('^' || app.event_time_pattern() || '(\n' || app.event_time_pattern() || ')*$')
                and count(*) = count(batch.event_time),
                true
            )
        into v_is_good
        from jsonb_to_recordset(p_events) as batch (
            event_time text,
            item_id text,
            item_type text,
            action text,
            dwell_ms text,
            watch_ms text,
            completion jsonb,
            device jsonb,
            app_ver text,
            feed_request_id text
        );
    end if;

    if v_is_good then
        select
            array_agg(
                app.event_row(
                    p_viewer_id,
                    batch.item_type,
                    batch.item_id,
                    batch.author_id,
                    batch.action,
                    batch.event_time,
                    coalesce(batch.dwell_ms, 0),
                    coalesce(batch.watch_ms, 0),
                    batch.completion,
                    batch.device,
                    batch.app_ver,
                    batch.feed_request_id
                )
            ),
            count(*) filter (where batch.author_id is null),
            min(batch.event_time),
            max(batch.event_time)
        into v_events, v_unknown, v_oldest, v_newest
        from (
            select
                events.*,
                case events.item_type
                    when 'video' then (
                        select videos.creator_id
                        from app.videos
                        where videos.id = events.item_id
                    )
                    else (
                        select posts.author_id
                        from app.posts
                        where posts.id = events.item_id
                    )
                end as author_id
            from jsonb_to_recordset(p_events) as events (
                event_time timestamptz,
                item_id bigint,
                item_type text,
                action text,
                dwell_ms integer,
                watch_ms integer,
                completion numeric,
                device text,
                app_ver text,
                feed_request_id uuid
            )
            -- Looked up once: without this the planner writes the lookup wherever it is read.
            offset 0
        ) as batch;
    end if;

    if
        not v_is_good
        or not app.is_timely(v_newest)
        or not app.is_recent(v_oldest)
        or not app.has_event_partitions(v_oldest, v_newest)
    then
        select jsonb_agg(to_jsonb(problems)) into v_problems
        from app.event_problems(p_events) as problems;
        if v_problems is not null then
            perform app.refuse_input('NV400', v_problems);
        end if;
        assert v_is_good, 'the rules of ingest_events and event_problems differ';
    end if;

    received := coalesce(cardinality(v_events), 0);
    deduped := 0;
    queued := 0;
    changed := '[]';
    if received > 0 then
        perform app.know_user(p_viewer_id);
        if v_unknown > 0 then
            queued := app.queue_events(v_events);
            v_events := array(
                select events
                from unnest(v_events) as events
                where events.author_id is not null
            );
        end if;

        select
            store.stored,
            store.changed
        into v_stored, changed
        from app.store_events(v_events) as store;
        deduped := received - queued - v_stored;
    end if;
    txid := app.current_txid();
    return next;
end;
$$;

comment on function app.ingest_events(bigint, jsonb) is
'Stores a viewer''s batch of events (at most 100): how many came, changed nothing, and wait for '
'their item (counts); transaction; totals that moved.';
