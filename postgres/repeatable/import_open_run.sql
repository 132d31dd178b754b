-- import_open_run(...): begins an import, or goes on with the one that was cut short: same data
-- set, same bytes, same options. Sets the data set's clock on its first import and keeps it ever
-- after, because an event is known by its time: moved by two amounts, it would count twice.
--
-- p_until: last instant to import by the data set's clock, infinity for all of it.
-- Refuses (NVI01) a change of mind about --shift-to-now.
create or replace function app.import_open_run(
    p_source text,
    p_files jsonb,
    p_options jsonb,
    p_shift_to_now boolean,
    p_until timestamptz default 'infinity',
    out run_id bigint,
    out is_resumed boolean,
    out shift_seconds bigint
)
language plpgsql
volatile
as $$
declare
    v_newest_at timestamptz;
    v_clock app.import_clocks;
begin
    select max(app.import_row_time(files.format, import_rows.fields)) into v_newest_at
    from import_rows
    inner join import_files as files on files.file = import_rows.file;
    v_newest_at := coalesce(v_newest_at, date_trunc('second', now()));

    insert into app.import_clocks (source, is_shifted, shift_seconds, newest_at)
    values (
        p_source,
        p_shift_to_now,
        case when p_shift_to_now then floor(extract(epoch from now() - v_newest_at)) else 0 end,
        v_newest_at
    )
    on conflict do nothing;

    select * into v_clock from app.import_clocks where source = p_source;
    if v_clock.is_shifted <> p_shift_to_now then
        raise exception using
            errcode = 'NVI01',
            message = format(
                '%s was imported %s --shift-to-now on %s; two clocks would count every event twice',
                p_source,
                case when v_clock.is_shifted then 'with' else 'without' end,
                v_clock.created_at::date
            ),
            hint = 'Import it the same way again, or start anew with an empty database.';
    end if;
    shift_seconds := v_clock.shift_seconds;

    select runs.id into run_id
    from app.import_runs as runs
    where
        runs.source = p_source
        and runs.finished_at is null
        and runs.files = p_files
        and runs.options = p_options
    order by runs.id desc
    limit 1;
    is_resumed := run_id is not null;

    if not is_resumed then
        insert into app.import_runs (source, files, options, covers_until)
        values (p_source, p_files, p_options, least(p_until, v_newest_at))
        returning id into run_id;
    end if;

    insert into app.import_malformed_lines (run_id, file, line_number, column_name, reason)
    select
        import_open_run.run_id,
        problems.file,
        problems.line_number,
        problems.column_name,
        problems.reason
    from import_problems as problems
    on conflict do nothing;
end;
$$;

comment on function app.import_open_run(text, jsonb, jsonb, boolean, timestamptz) is
'Begins or resumes an import of staged files: its run, and how far its times are moved (seconds).';
