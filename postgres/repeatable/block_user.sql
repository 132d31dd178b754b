-- block_user(viewer, other): the viewer blocks a user; again changes nothing. A block ends the
-- follows between the two, both ways, and lifting it does not bring them back.
create or replace function app.block_user(p_viewer_id bigint, p_other_id bigint)
returns table (
    blocked boolean,
    is_hidden boolean,
    hidden_txid bigint,
    txid bigint,
    changed jsonb
)
language plpgsql
as $$
begin
    -- Before anything is written: the transaction has no number yet, and gets one in turn.
    perform app.lock_user_pair(p_viewer_id, p_other_id);
    perform app.require_other_user(p_viewer_id, p_other_id, 'blocked_id');

    insert into app.blocks as pairs (blocker_id, blocked_id)
    values (p_viewer_id, p_other_id)
    on conflict (blocker_id, blocked_id) do update set
        deleted = false,
        created_at = excluded.created_at
    where pairs.deleted;

    update app.follows
    set deleted = true
    where
        (follower_id, followee_id) in ((p_viewer_id, p_other_id), (p_other_id, p_viewer_id))
        and not deleted;

    return query
    select true, hiding.*, app.current_txid(), '[]'::jsonb
    from app.hiding_of_pair(p_viewer_id, p_other_id) as hiding;
end;
$$;

comment on function app.block_user(bigint, bigint) is
'The viewer blocks a user, and neither follows the other; returns whether they are blocked now, '
'whether the two are hidden from each other, and by which transaction.';
