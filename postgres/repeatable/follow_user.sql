-- follow_user(viewer, other): the viewer follows a user; again changes nothing. A pair that was
-- undone before comes back in its old row, with a new time. Refused (NV403) while either of the two
-- blocks the other.
create or replace function app.follow_user(p_viewer_id bigint, p_other_id bigint)
returns table (following boolean, follower_count bigint, txid bigint, changed jsonb)
language plpgsql
as $$
begin
    perform app.require_other_user(p_viewer_id, p_other_id, 'followee_id');
    -- Before blocks are read: a block that is being made must be seen, or wait and see this follow.
    perform app.lock_user_pair(p_viewer_id, p_other_id);

    if exists (
        select 1
        from app.blocks
        where
            (blocker_id, blocked_id) in ((p_viewer_id, p_other_id), (p_other_id, p_viewer_id))
            and not deleted
    ) then
        perform app.refuse_input(
            'NV403',
            'followee_id',
            format('names a user who blocks, or is blocked by, this viewer: %s', p_other_id)
        );
    end if;

    insert into app.follows as pairs (follower_id, followee_id)
    values (p_viewer_id, p_other_id)
    on conflict (follower_id, followee_id) do update set
        deleted = false,
        created_at = excluded.created_at
    where pairs.deleted;

    return query
    select true, app.follower_count(p_other_id), app.current_txid(), '[]'::jsonb;
end;
$$;

comment on function app.follow_user(bigint, bigint) is
'The viewer follows a user, unless one blocks the other (NV403); returns whether they do now, and '
'the user''s followers (count).';
