-- import_row_time(format, fields): when a row of an imported file happened, by the file's own
-- clock. The newest of them is what --shift-to-now moves to now.
create or replace function app.import_row_time(p_format text, p_fields text[])
returns timestamptz
language sql
stable
as $$
    select case p_format
        -- A date without a time: the data set's own days begin at midnight in UTC+8.
        when 'kuairand.videos' then (p_fields[4] || ' 00:00:00+08')::timestamptz
        when 'kuairand.log' then to_timestamp(p_fields[5]::bigint / 1000)
        when 'kuairand.history' then to_timestamp(p_fields[3]::bigint / 1000)
        when 'tiktok.videos' then to_timestamp(p_fields[4]::bigint)
        when 'hackernews.stories' then to_timestamp(p_fields[3]::bigint)
    end
$$;

comment on function app.import_row_time(text, text[]) is
'Time of a row of an imported file, by the file''s own clock (UTC, whole seconds).';
