-- unfollow_user(viewer, other): true when this call ended it, false when there was nothing to end.
create or replace function app.unfollow_user(p_viewer_id bigint, p_other_id bigint)
returns boolean
language plpgsql
as $$
begin
    update app.follows
    set deleted = true
    where
        follower_id = p_viewer_id
        and followee_id = p_other_id
        and not deleted;

    return found;
end;
$$;

comment on function app.unfollow_user(bigint, bigint) is
'The viewer follows a user no longer: true when this call made it so.';
