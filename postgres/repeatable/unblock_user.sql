-- unblock_user(viewer, other): lifts a block; again changes nothing. The two stay hidden from each
-- other while the other one blocks the viewer.
create or replace function app.unblock_user(p_viewer_id bigint, p_other_id bigint)
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

    update app.blocks
    set deleted = true
    where
        blocker_id = p_viewer_id
        and blocked_id = p_other_id
        and not deleted;

    return query
    select false, hiding.*, app.current_txid(), '[]'::jsonb
    from app.hiding_of_pair(p_viewer_id, p_other_id) as hiding;
end;
$$;

comment on function app.unblock_user(bigint, bigint) is
'Lifts a block; returns whether the user is blocked now, whether the two are hidden from each '
'other, and by which transaction.';
