-- watch_problems(watches): every faulty field of a batch of playbacks (app.batch_problems); no rows
-- when app.watch_videos would take it, as far as it can be told without its videos.
create or replace function app.watch_problems(p_watches jsonb)
returns table (index integer, field text, message text)
language sql
stable
as $$
    select
        problems.index,
        problems.field,
        problems.message
    from
        app.batch_problems(
            p_watches,
            'watches',
            'watch',
            'playbacks',
            array['video_id', 'watch_ms', 'completion', 'feed_request_id', 'event_time'],
            array['video_id', 'watch_ms'],
            'view'
        ) as problems
$$;

comment on function app.watch_problems(jsonb) is
'One row per faulty field of a batch of playbacks (at most 100): its place, counted from 0, the '
'field, and what is wrong in words.';
