-- import_split_csv(line): fields of one CSV line, quotes undone; null when quotes do not match.
-- A record is one physical line: none of our formats breaks a field over two, and a file with one
-- forgotten quote would otherwise lose everything after it.
create or replace function app.import_split_csv(p_line text)
returns text[]
language sql
immutable
parallel safe
as $$
    select case
        when strpos(p_line, '"') = 0 then string_to_array(p_line, ',')
        when p_line ~ '^("([^"]|"")*"|[^",]*)(,("([^"]|"")*"|[^",]*))*$' then
            (
                select array_agg(
                    coalesce(replace(matches.field[1], '""', '"'), matches.field[2], '')
                    order by matches.place
                )
                from regexp_matches(
                    p_line, '(?:^|,)(?:"((?:[^"]|"")*)"|([^",]*))(?=,|$)', 'g'
                ) with ordinality as matches (field, place)
            )
    end
$$;

comment on function app.import_split_csv(text) is
'Fields of one CSV line with quotes undone; null when its quotes do not match.';
