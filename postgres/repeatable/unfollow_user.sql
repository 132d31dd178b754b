-- unfollow_user(viewer, other): the viewer follows a user no longer; again changes nothing.
create or replace function app.unfollow_user(p_viewer_id bigint, p_other_id bigint)
returns table (following boolean, follower_count bigint, txid bigint, changed jsonb)
language plpgsql
as $$
begin
    perform app.require_other_user(p_viewer_id, p_other_id, 'followee_id');

    update app.follows
    set deleted = true
    where
        follower_id = p_viewer_id
        and followee_id = p_other_id
        and not deleted;

    return query
    select false, app.follower_count(p_other_id), app.current_txid(), '[]'::jsonb;
end;
$$;

comment on function app.unfollow_user(bigint, bigint) is
'The viewer follows a user no longer; returns whether they do now, and the user''s followers '
'(count).';
