-- import_kuairand_log: log_standard_*: one row per exposure, with what the viewer did about it.
-- Viewers, follows, and one event per thing done; fully repeated rows and rows that share viewer,
-- video and second become one, the first in the file.
--
-- A comment has no text here: it counts, but there is nothing to store in app.comments.
create or replace function app.import_kuairand_log(p_run_id bigint, p_file text)
returns table (entity text, read_rows bigint, inserted_rows bigint)
language plpgsql
as $$
begin
    create temporary table if not exists import_exposures (
        line_number bigint not null,
        viewer_id bigint not null,
        video_id bigint not null,
        creator_id bigint,
        seen_at timestamptz not null,
        play_ms integer not null,
        completion real,
        actions text [] not null
    )
    on commit delete rows;
    delete from import_exposures;

    insert into import_exposures
    select
        parsed.line_number,
        parsed.viewer_id,
        parsed.video_id,
        videos.creator_id,
        parsed.row_at,
        parsed.play_ms,
        -- Loops play longer than the video lasts: one full watch. Length unknown: share unknown,
        -- which least() alone would turn into 1.
        case
            when coalesce(parsed.duration_ms, videos.duration_ms) > 0
                then least(1, parsed.play_ms / coalesce(parsed.duration_ms, videos.duration_ms)::real)
        end,
        array_remove(
            array[
                'impression',
                case when parsed.play_ms > 0 then 'view' end,
                case when parsed.fields[7] = '1' then 'like' end,
                case when parsed.fields[8] = '1' then 'follow_from_item' end,
                case when parsed.fields[9] = '1' then 'comment' end,
                case when parsed.fields[10] = '1' then 'share' end,
                case when parsed.fields[11] = '1' then 'not_interested' end,
                case when parsed.fields[17] = '1' then 'profile_visit' end
            ],
            null
        )
    from (
        select
            import_chunk_rows.line_number,
            import_chunk_rows.fields,
            import_chunk_rows.row_at,
            app.import_id('kuairand.viewer', import_chunk_rows.fields[1]::bigint) as viewer_id,
            app.import_id('kuairand.video', import_chunk_rows.fields[2]::bigint) as video_id,
            import_chunk_rows.fields[13]::integer as play_ms,
            nullif(import_chunk_rows.fields[14]::integer, 0) as duration_ms
        from import_chunk_rows
    ) as parsed
    left join app.videos on parsed.video_id = videos.id;

    insert into app.import_malformed_lines (run_id, file, line_number, column_name, reason)
    select
        p_run_id,
        p_file,
        import_exposures.line_number,
        'video_id',
        format('video %s is not in the video features', import_chunk_rows.fields[2])
    from import_exposures
    inner join import_chunk_rows on import_exposures.line_number = import_chunk_rows.line_number
    where import_exposures.creator_id is null
    on conflict do nothing;

    delete from import_exposures where import_exposures.creator_id is null;

    insert into pending_events (
        position, event_time, user_id, item_type, item_id, action, watch_ms, completion, device
    )
    select
        exposures.line_number,
        exposures.seen_at,
        exposures.viewer_id,
        'video',
        exposures.video_id,
        actions.action,
        case when actions.action = 'view' then exposures.play_ms else 0 end,
        case when actions.action = 'view' then exposures.completion end,
        'kuairand-log'
    from import_exposures as exposures
    cross join unnest(exposures.actions) as actions (action);

    return query
    with new_viewers as (
        insert into app.users (id, created_at)
        select
            exposures.viewer_id,
            min(exposures.seen_at)
        from import_exposures as exposures
        group by exposures.viewer_id
        order by exposures.viewer_id
        on conflict do nothing
        returning id
    ),

    new_follows as (
        insert into app.follows (follower_id, followee_id, created_at)
        select
            exposures.viewer_id,
            exposures.creator_id,
            min(exposures.seen_at)
        from import_exposures as exposures
        where 'follow_from_item' = any(exposures.actions)
        group by
            exposures.viewer_id,
            exposures.creator_id
        order by
            exposures.viewer_id,
            exposures.creator_id
        on conflict do nothing
        returning 1
    )

    select
        'viewers'::text,
        count(distinct exposures.viewer_id),
        (select count(*) from new_viewers)
    from import_exposures as exposures
    union all
    select
        'followed_pairs',
        count(distinct (exposures.viewer_id, exposures.creator_id)),
        (select count(*) from new_follows)
    from import_exposures as exposures
    where 'follow_from_item' = any(exposures.actions);
end;
$$;

comment on function app.import_kuairand_log(bigint, text) is
'Stores viewers and follows of the staged chunk of a KuaiRand log; leaves its events pending.';
