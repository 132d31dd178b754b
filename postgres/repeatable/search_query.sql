-- search_query(text): all words of a text; what is written without spaces in its order.
create or replace function app.search_query(p_text text)
returns tsquery
language sql
immutable
parallel safe
as $$
    select string_agg(asked.words::text, ' & ')::tsquery
    from (
        select phraseto_tsquery('simple'::regconfig, app.search_text(word)) as words
        from regexp_split_to_table(p_text, '\s+') as word
    ) as asked
    where numnode(asked.words) > 0
$$;

comment on function app.search_query(text) is
'Full text query of all words of a text; null when there is none.';
