-- event_problems(events): every faulty field of a batch of events (app.batch_problems); no rows
-- when app.ingest_events would take it.
create or replace function app.event_problems(p_events jsonb)
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
            p_events,
            'events',
            'event',
            'events',
            array[
                'event_time', 'item_id', 'item_type', 'action', 'dwell_ms', 'watch_ms',
                'completion', 'device', 'app_ver', 'feed_request_id'
            ],
            array['event_time', 'item_id', 'item_type', 'action', 'device', 'app_ver']
        ) as problems
$$;

comment on function app.event_problems(jsonb) is
'One row per faulty field of a client''s batch of events (at most 100): its place, counted from 0, '
'the field, and what is wrong in words.';
