-- create_post(author, body, hashtags): publishes a text post; returns its id.
create or replace function app.create_post(
    p_author_id bigint,
    p_body text,
    p_hashtags text[] default '{}'
)
returns bigint
language plpgsql
as $$
declare
    v_post_id bigint;
begin
    if (p_body ~ '\S') is not true then
        perform app.refuse_input('NV400', 'body', 'must say something');
    end if;

    perform app.know_user(p_author_id);

    insert into app.posts (author_id, body, hashtags)
    values (p_author_id, p_body, p_hashtags)
    returning id into v_post_id;

    return v_post_id;
end;
$$;

comment on function app.create_post(bigint, text, text[]) is 'Publishes a post; returns its id.';
