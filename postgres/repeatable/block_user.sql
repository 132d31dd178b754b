-- block_user(viewer, other): true when this call made the block, false when it was there. A block
-- ends the follows between the two, both ways, and lifting it does not bring them back.
create or replace function app.block_user(p_viewer_id bigint, p_other_id bigint)
returns boolean
language plpgsql
as $$
declare
    v_is_new boolean;
begin
    perform app.require_other_user(p_viewer_id, p_other_id, 'blocked_id');

    insert into app.blocks as pairs (blocker_id, blocked_id)
    values (p_viewer_id, p_other_id)
    on conflict (blocker_id, blocked_id) do update set
        deleted = false,
        created_at = excluded.created_at
    where pairs.deleted;
    v_is_new := found;

    -- In the order of the key: two users who block each other at once must not deadlock.
    perform app.unfollow_user(least(p_viewer_id, p_other_id), greatest(p_viewer_id, p_other_id));
    perform app.unfollow_user(greatest(p_viewer_id, p_other_id), least(p_viewer_id, p_other_id));

    return v_is_new;
end;
$$;

comment on function app.block_user(bigint, bigint) is
'The viewer blocks a user, and neither follows the other: true when this call made the block.';
