-- import_chunk(run, file, from, to): stores the rows of some lines of a staged file and remembers
-- that it did, in one transaction: whenever an import is killed, a chunk is stored or not begun.
-- False when an earlier call has stored it. Once per transaction, as app.record_events asks.
--
-- The converter of a format is app.import_<data set>_<file>(run, file): it reads import_chunk_rows,
-- whose times are already moved, stores everything but events, puts those into pending_events, and
-- says what it found.
create or replace function app.import_chunk(
    p_run_id bigint, p_file text, p_from_line bigint, p_to_line bigint
)
returns boolean
language plpgsql
as $$
declare
    v_format constant text := (
        select files.format from import_files as files where files.file = p_file
    );
    v_source text;
    v_shift interval;
    v_until timestamptz;
    v_covered_until timestamptz;
begin
    insert into app.import_chunks (run_id, file, from_line, to_line)
    values (p_run_id, p_file, p_from_line, p_to_line)
    on conflict do nothing;
    if not found then
        return false;
    end if;

    select
        runs.source,
        make_interval(secs => clocks.shift_seconds),
        coalesce((runs.options ->> 'until')::timestamptz, 'infinity')
    into strict v_source, v_shift, v_until
    from app.import_runs as runs
    inner join app.import_clocks as clocks on runs.source = clocks.source
    where runs.id = p_run_id;

    v_covered_until := (
        select max(runs.covers_until) + v_shift
        from app.import_runs as runs
        where
            runs.source = v_source
            and runs.finished_at is not null
    );

    insert into import_chunk_rows (line_number, fields, row_at)
    select
        import_rows.line_number,
        import_rows.fields,
        app.import_row_time(v_format, import_rows.fields) + v_shift
    from import_rows
    where
        import_rows.file = p_file
        and import_rows.line_number between p_from_line and p_to_line;

    with later as (
        delete from import_chunk_rows where import_chunk_rows.row_at > v_until + v_shift
        returning 1
    )

    update app.import_chunks
    set held_out_rows = (select count(*) from later)
    where
        import_chunks.run_id = p_run_id
        and import_chunks.file = p_file
        and import_chunks.from_line = p_from_line;

    perform app.open_pending_events();
    execute format(
        'insert into app.import_counts (run_id, file, from_line, entity, read_rows, inserted_rows)
        select $1, $2, $3, found.entity, found.read_rows, found.inserted_rows
        from app.%I($1, $2) as found
        where found.read_rows > 0',
        'import_' || replace(v_format, '.', '_')
    )
    using p_run_id, p_file, p_from_line;

    insert into app.import_counts (run_id, file, from_line, entity, read_rows, inserted_rows)
    select
        p_run_id,
        p_file,
        p_from_line,
        found.entity,
        found.read_rows,
        found.inserted_rows
    from app.import_events(v_covered_until) as found;

    return true;
end;
$$;

comment on function app.import_chunk(bigint, text, bigint, bigint) is
'Stores the rows of some lines of a staged file, once; false when that was done before.';
