-- import_hackernews_stories: authors, posts and their counters; a post's text is the title.
-- Counters are stored with a new post only: afterwards they belong to what happens here.
create or replace function app.import_hackernews_stories(p_run_id bigint, p_file text)
returns table (entity text, read_rows bigint, inserted_rows bigint)
language plpgsql
as $$
begin
    return query
    with parsed as materialized (
        select
            line_number,
            row_at as published_at,
            app.import_id('hackernews.author', fields[1]::bigint) as author_id,
            app.import_id('hackernews.post', fields[2]::bigint) as post_id,
            fields[4]::bigint as score,
            coalesce(nullif(fields[5], '')::bigint, 0) as descendants,
            fields[6] as title
        from import_chunk_rows
    ),

    new_authors as (
        insert into app.users (id, created_at)
        select
            author_id,
            min(published_at)
        from parsed
        group by author_id
        order by author_id
        on conflict do nothing
        returning id
    ),

    new_posts as (
        insert into app.posts (id, author_id, body, created_at)
        select distinct on (post_id)
            post_id,
            author_id,
            title,
            published_at
        from parsed
        order by
            post_id,
            line_number
        on conflict do nothing
        returning id
    ),

    new_engagement as (
        insert into app.post_engagement (post_id, likes, comments)
        select distinct on (parsed.post_id)
            parsed.post_id,
            parsed.score,
            parsed.descendants
        from parsed
        inner join new_posts on parsed.post_id = new_posts.id
        order by
            parsed.post_id,
            parsed.line_number
        on conflict do nothing
        returning 1
    )

    select
        'authors'::text,
        (select count(distinct author_id) from parsed),
        (select count(*) from new_authors)
    union all
    select
        'posts',
        (select count(*) from parsed),
        (select count(*) from new_posts)
    union all
    select
        'post_engagement',
        (select count(*) from parsed),
        (select count(*) from new_engagement);
end;
$$;

comment on function app.import_hackernews_stories(bigint, text) is
'Stores authors, posts and counters of the staged chunk of Hacker News stories.';
