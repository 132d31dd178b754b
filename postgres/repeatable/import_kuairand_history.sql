-- import_kuairand_history: user_history_before_*: up to 50 videos each that a viewer watched, liked
-- and watched long before the log begins, oldest first, without a time per item. Becomes views and
-- likes at times that are made up as follows (docs/decisions, history before the log):
--
-- * Viewing is spread evenly from the opening of the data set to the viewer's last_time_ms:
--   history_len exposures in that time give the step, and the newest item happened at last_time_ms.
-- * A long watch, and a like, is the view of the same video counted from the end of the list. Long
--   watches older than the last 50 views become views before those; so do likes, without a view.
-- * Completion is the mean, measured on the log, of long watches and of the others.
create or replace function app.import_kuairand_history(p_run_id bigint, p_file text)
returns table (entity text, read_rows bigint, inserted_rows bigint)
language plpgsql
as $$
declare
    v_data_set_opened_at constant timestamptz := '2022-04-08 00:00:00+08';
    v_long_completion constant real := 0.75;
    v_other_completion constant real := 0.1;
begin
    -- One row per item of a list. `nth_last` counts the occurrences of one video from the end.
    create temporary table if not exists import_history_items (
        line_number bigint not null,
        list text not null,
        video_id bigint not null,
        steps_back bigint not null,
        nth_last bigint not null
    )
    on commit delete rows;
    delete from import_history_items;

    insert into import_history_items
    select
        chunk_rows.line_number,
        lists.list,
        app.import_id('kuairand.video', items.item::bigint),
        cardinality(lists.items) - items.place,
        row_number() over (
            partition by
                chunk_rows.line_number,
                lists.list,
                items.item::bigint
            order by items.place desc
        )
    from import_chunk_rows as chunk_rows
    cross join lateral (
        values
        ('watch', string_to_array(chunk_rows.fields[4], ' ')),
        ('like', string_to_array(chunk_rows.fields[5], ' ')),
        ('long_watch', string_to_array(chunk_rows.fields[6], ' '))
    ) as lists (list, items)
    cross join unnest(lists.items) with ordinality as items (item, place);

    insert into app.import_malformed_lines (run_id, file, line_number, column_name, reason)
    select distinct on (items.line_number)
        p_run_id,
        p_file,
        items.line_number,
        items.list || '_seq',
        format(
            'video %s is not in the video features; the rest of the line is imported',
            items.video_id - app.import_id('kuairand.video', 0)
        )
    from import_history_items as items
    where not exists (select 1 from app.videos where videos.id = items.video_id)
    order by
        items.line_number,
        items.list,
        items.steps_back
    on conflict do nothing;

    delete from import_history_items as items
    where not exists (select 1 from app.videos where videos.id = items.video_id);

    insert into pending_events (
        position, event_time, user_id, item_type, item_id, action, completion, device
    )
    with viewers as materialized (
        select
            chunk_rows.line_number,
            app.import_id('kuairand.viewer', chunk_rows.fields[1]::bigint) as viewer_id,
            chunk_rows.row_at,
            -- By the file's own clock, before it was moved.
            greatest(
                1,
                chunk_rows.fields[3]::bigint / 1000
                - extract(epoch from v_data_set_opened_at)::bigint
            ) / greatest(1, chunk_rows.fields[2]::bigint) as step_seconds,
            coalesce(cardinality(string_to_array(chunk_rows.fields[4], ' ')), 0) as watches
        from import_chunk_rows as chunk_rows
    ),

    views as materialized (
        select
            coalesce(watches.line_number, long_watches.line_number) as line_number,
            coalesce(watches.video_id, long_watches.video_id) as video_id,
            coalesce(watches.nth_last, long_watches.nth_last) as nth_last,
            long_watches.line_number is not null as is_long,
            coalesce(
                watches.steps_back,
                viewers.watches + row_number() over (
                    partition by
                        long_watches.line_number,
                        watches.line_number is null
                    order by long_watches.steps_back
                ) - 1
            ) as steps_back
        from (select * from import_history_items where list = 'watch') as watches
        full join (
            select * from import_history_items where list = 'long_watch'
        ) as long_watches
            on
                watches.line_number = long_watches.line_number
                and watches.video_id = long_watches.video_id
                and watches.nth_last = long_watches.nth_last
        inner join viewers
            on coalesce(watches.line_number, long_watches.line_number) = viewers.line_number
    ),

    likes as (
        select
            likes.line_number,
            likes.video_id,
            coalesce(
                views.steps_back,
                viewers.watches + row_number() over (
                    partition by
                        likes.line_number,
                        views.line_number is null
                    order by likes.steps_back
                ) - 1
            ) as steps_back
        from import_history_items as likes
        inner join viewers on likes.line_number = viewers.line_number
        left join views
            on
                likes.line_number = views.line_number
                and likes.video_id = views.video_id
                and likes.nth_last = views.nth_last
        where likes.list = 'like'
    )

    select
        viewers.line_number,
        viewers.row_at - make_interval(
            secs => done.steps_back * greatest(1, viewers.step_seconds)
        ),
        viewers.viewer_id,
        'video',
        done.video_id,
        done.action,
        done.completion,
        'kuairand-history'
    from (
        select
            views.line_number,
            views.video_id,
            views.steps_back,
            'view' as action,
            case when views.is_long then v_long_completion else v_other_completion end as completion
        from views
        union all
        select
            likes.line_number,
            likes.video_id,
            likes.steps_back,
            'like',
            null
        from likes
    ) as done
    inner join viewers on done.line_number = viewers.line_number;

    return query
    with viewers as (
        select
            pending_events.user_id as viewer_id,
            min(pending_events.event_time) as seen_at
        from pending_events
        group by pending_events.user_id
    ),

    new_viewers as (
        insert into app.users (id, created_at)
        select
            viewers.viewer_id,
            viewers.seen_at
        from viewers
        order by viewers.viewer_id
        on conflict do nothing
        returning id
    )

    select
        'viewers'::text,
        (select count(*) from viewers),
        (select count(*) from new_viewers);
end;
$$;

comment on function app.import_kuairand_history(bigint, text) is
'Stores viewers of the staged chunk of KuaiRand''s history; leaves its views and likes pending.';
