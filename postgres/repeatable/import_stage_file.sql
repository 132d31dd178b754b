-- import_stage_file(file, format): makes room for the lines of one file. The session then copies
-- raw lines into import_lines (line) and calls import_parse_file. Temporary tables: a killed import
-- leaves nothing behind, and reading 10 MB again costs about a second.
create or replace function app.import_stage_file(p_file text, p_format text)
returns void
language plpgsql
as $$
begin
    create temporary table if not exists import_files (
        file text not null,
        format text not null,

        constraint import_files_pkey primary key (file)
    );
    create temporary table if not exists import_lines (
        -- COPY fills these in the order of lines, so that line numbers are the file's.
        line_number bigint not null generated always as identity,
        line text not null
    );
    create temporary table if not exists import_rows (
        file text not null,
        line_number bigint not null,
        fields text [] not null,

        constraint import_rows_pkey primary key (file, line_number)
    );
    create temporary table if not exists import_problems (
        file text not null,
        line_number bigint not null,
        column_name text not null,
        reason text not null,

        constraint import_problems_pkey primary key (file, line_number)
    );
    create temporary table if not exists import_chunk_rows (
        line_number bigint not null,
        fields text [] not null,
        row_at timestamptz not null
    )
    on commit delete rows;

    insert into import_files (file, format) values (p_file, p_format)
    on conflict (file) do update set format = excluded.format;
    truncate import_lines restart identity;
    delete from import_rows where import_rows.file = p_file;
    delete from import_problems where import_problems.file = p_file;
end;
$$;

comment on function app.import_stage_file(text, text) is
'Makes the temporary tables that receive the raw lines of one file to import.';
