-- create_post(author, body, hashtags): publishes a text post. `follower_ids` is who follows the
-- author, null when they are more than `fan_out_max`.
create or replace function app.create_post(
    p_author_id bigint,
    p_body text,
    p_hashtags text[] default '{}',
    p_request_key text default null,
    p_fan_out_max integer default 1000
)
returns table (
    post_id bigint,
    created_at timestamptz,
    follower_ids bigint[],
    txid bigint,
    changed jsonb
)
language plpgsql
as $$
declare
    v_answer jsonb;
begin
    if (p_body ~ '\S') is not true then
        perform app.refuse_input('NV400', 'body', 'must say something');
    elsif p_hashtags is null or array_position(p_hashtags, null) is not null then
        perform app.refuse_input('NV400', 'hashtags', 'must be a list of texts');
    end if;

    changed := '[]';
    v_answer := app.begin_request(
        p_author_id, 'create_post', p_request_key, jsonb_build_array(p_body, p_hashtags)
    );
    if v_answer is null then
        perform app.know_user(p_author_id);

        insert into app.posts as published (author_id, body, hashtags)
        values (p_author_id, p_body, p_hashtags)
        returning
            published.id,
            published.created_at
        into post_id, created_at;

        v_answer := jsonb_build_object(
            'post_id', post_id, 'created_at', created_at, 'txid', app.current_txid()
        );
        perform app.end_request(p_author_id, 'create_post', p_request_key, v_answer);
    end if;

    post_id := v_answer ->> 'post_id';
    created_at := v_answer ->> 'created_at';
    txid := v_answer ->> 'txid';
    -- Also for a repeat: its first answer may have been lost before anybody was told.
    follower_ids := app.live_followers(p_author_id, p_fan_out_max);
    return next;
end;
$$;

comment on function app.create_post(bigint, text, text[], text, integer) is
'Publishes a post; returns its id, its time and the author''s followers, if they are few.';
