-- delete_post(author, post): the author takes a post back; again changes nothing. `was_deleted` is
-- whether this call did it; `follower_ids` as in app.create_post.
create or replace function app.delete_post(
    p_author_id bigint,
    p_post_id bigint,
    p_fan_out_max integer default 1000
)
returns table (was_deleted boolean, follower_ids bigint[], txid bigint, changed jsonb)
language plpgsql
as $$
declare
    v_post record;
begin
    select
        author_id,
        deleted
    into v_post
    from app.posts
    where id = p_post_id
    for update;

    if not found then
        perform app.refuse_input('NV404', 'post_id', format('names no post: %s', p_post_id));
    elsif v_post.author_id <> p_author_id then
        perform app.refuse_input('NV403', 'post_id', 'is not a post of this author');
    end if;

    was_deleted := not v_post.deleted;
    if was_deleted then
        update app.posts
        set deleted = true
        where id = p_post_id;
    end if;

    follower_ids := app.live_followers(p_author_id, p_fan_out_max);
    txid := app.current_txid();
    changed := '[]';
    return next;
end;
$$;

comment on function app.delete_post(bigint, bigint, integer) is
'Takes a post of one''s own back; returns whether this call did, and the followers, if few.';
