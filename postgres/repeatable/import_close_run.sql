-- import_close_run(run): every chunk is stored. Bulk loads leave the planner with the statistics
-- of empty tables, and autovacuum may take a minute to notice: analysed here instead.
create or replace function app.import_close_run(p_run_id bigint)
returns void
language plpgsql
as $$
begin
    update app.import_runs
    set finished_at = now()
    where
        id = p_run_id
        and finished_at is null;

    analyze app.users, app.follows, app.sounds, app.videos, app.video_engagement, app.posts,
    app.post_engagement, app.likes, app.not_interested, app.not_interested_posts, app.events;
end;
$$;

comment on function app.import_close_run(bigint) is
'Marks an import as finished and refreshes the statistics of the tables it filled.';
