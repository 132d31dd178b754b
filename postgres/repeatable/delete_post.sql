-- delete_post(author, post): the author takes a post back. True when this call did, false when it
-- was gone already.
create or replace function app.delete_post(p_author_id bigint, p_post_id bigint)
returns boolean
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
    elsif v_post.deleted then
        return false;
    end if;

    update app.posts
    set deleted = true
    where id = p_post_id;

    return true;
end;
$$;

comment on function app.delete_post(bigint, bigint) is
'Takes a post of one''s own back: true when this call did.';
