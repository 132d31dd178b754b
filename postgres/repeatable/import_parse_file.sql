-- import_parse_file(file): splits the staged lines of a file into import_rows, and names the first
-- thing wrong with each line that cannot be imported in import_problems. Says how many lines there
-- are. A file with the wrong header is refused as a whole (NVI01): its columns mean something else.
create or replace function app.import_parse_file(p_file text)
returns bigint
language plpgsql
as $$
declare
    v_format constant text := (
        select files.format from import_files as files where files.file = p_file
    );
    v_is_csv constant boolean := v_format <> 'tiktok.videos';
    v_expected constant text [] := array(
        select columns.column_name
        from app.import_columns(v_format) as columns
        order by columns.place
    );
    v_found text [];
begin
    if v_expected = '{}' then
        raise exception 'unknown file format %', v_format using errcode = 'NVI01';
    end if;

    if v_is_csv then
        v_found := (
            select app.import_split_csv(rtrim(lines.line, e'\r'))
            from import_lines as lines
            where lines.line_number = 1
        );
        if v_found is distinct from v_expected then
            raise exception using
                errcode = 'NVI01',
                message = p_file || ' does not begin with the expected header: ' || concat_ws(
                    '; ',
                    case
                        when v_found is null then 'line 1 is missing or a quote does not match'
                    end,
                    'missing ' || nullif(array_to_string(array(
                        select name from unnest(v_expected) as name where name <> all (v_found)
                    ), ', '), ''),
                    'unknown ' || nullif(array_to_string(array(
                        select left(name, 40)
                        from unnest(v_found) as name
                        where name <> all (v_expected)
                        limit 5
                    ), ', '), ''),
                    'expected ' || array_to_string(v_expected, ',')
                );
        end if;
    end if;

    -- What can be split at all. The reader of the file puts the SUB character, e'\x1a', where bytes
    -- are no UTF-8 text.
    with lines as materialized (
        select
            trimmed.line_number,
            trimmed.line,
            case
                when strpos(trimmed.line, e'\x1a') > 0 then null
                when v_is_csv then app.import_split_csv(trimmed.line)
                when not pg_input_is_valid(trimmed.line, 'jsonb') then null
                when trimmed.line is json object then
                    array(
                        select trimmed.line::jsonb ->> names.name
                        from unnest(v_expected) with ordinality as names (name, place)
                        order by names.place
                    )
            end as fields
        from (
            select
                import_lines.line_number,
                rtrim(import_lines.line, e'\r') as line
            from import_lines
        ) as trimmed
        where
            trimmed.line_number > v_is_csv::integer
            and trimmed.line <> ''
    ),

    good as (
        insert into import_rows (file, line_number, fields)
        select
            p_file,
            lines.line_number,
            lines.fields
        from lines
        where cardinality(lines.fields) = cardinality(v_expected)
    )

    insert into import_problems (file, line_number, column_name, reason)
    select
        p_file,
        lines.line_number,
        '',
        case
            when strpos(lines.line, e'\x1a') > 0 then format(
                'holds a byte that is not UTF-8 text, at character %s',
                strpos(lines.line, e'\x1a')
            )
            when v_is_csv and lines.fields is null then 'has a quote that does not match'
            when v_is_csv then format(
                'has %s fields, not %s', cardinality(lines.fields), cardinality(v_expected)
            )
            when pg_input_is_valid(lines.line, 'jsonb') then 'is not a JSON object'
            else 'is not JSON'
        end
    from lines
    where cardinality(lines.fields) is distinct from cardinality(v_expected);

    analyze import_rows;

    -- What was split but holds a value that is none. Most rows of a file of numbers pass one
    -- regular expression, which is much cheaper than a look at each of 19 columns.
    with columns as materialized (
        select * from app.import_columns(v_format)
    ),

    suspects as materialized (
        select
            import_rows.line_number,
            import_rows.fields,
            array_to_string(import_rows.fields, ',', '') ~ (
                select
                    '^' || string_agg(
                        case columns.kind
                            when 'unread' then '[^,]*'
                            when 'flag' then '[01]'
                            when 'integer' then format('[0-9]{1,%s}', least(columns.digits, 18))
                            when 'time_ms' then '[^,]*'
                            -- Needs a closer look: no row passes.
                            else '(?!)'
                        end,
                        ',' order by columns.place
                    ) || '$'
                from columns
            ) as is_plain
        from import_rows
        where import_rows.file = p_file
    )

    insert into import_problems (file, line_number, column_name, reason)
    select distinct on (judged.line_number)
        p_file,
        judged.line_number,
        judged.column_name,
        judged.reason
    from (
        select
            suspects.line_number,
            columns.place,
            columns.column_name,
            app.import_value_problem(
                columns.kind, columns.digits, columns.is_required, suspects.fields[columns.place]
            ) as reason
        from suspects
        inner join columns on columns.kind = 'time_ms' or not suspects.is_plain
    ) as judged
    where judged.reason is not null
    order by judged.line_number, judged.place;

    delete from import_rows
    using import_problems
    where
        import_rows.file = p_file
        and import_problems.file = p_file
        and import_problems.line_number = import_rows.line_number;

    return (select coalesce(max(import_lines.line_number), 0) from import_lines);
end;
$$;

comment on function app.import_parse_file(text) is
'Splits staged lines into import_rows and import_problems; says how many lines there are.';
